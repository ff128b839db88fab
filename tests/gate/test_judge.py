"""The judgement as a whole: order, what is refused unopened, and what does not change a verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import ExportError, GateError
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.gate import Case, Seal, Verdict, judge
from sluice.gate.selftest.material import CountedOpenings
from tests.gate.paired import Pair, case_of, contender, judged, pair, policy

POLICY = policy()


@pytest.fixture(scope="module")
def better() -> Pair:
    return pair(1, better=1.0)


def names(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.refusals]


def test_a_better_challenger_passes_over_the_champion(better: Pair) -> None:
    verdict = judged(better, POLICY)
    assert verdict.passed, verdict.reason()
    assert verdict.opened
    assert verdict.counts["openings"] == 1
    assert verdict.scores is not None
    assert verdict.scores.columns == ["event_id", "label", "challenger", "champion", "rung constant"]


def test_without_a_champion_the_ladder_decides(better: Pair) -> None:
    assert judged(better, POLICY, champion=False).passed
    worse = Pair(better.rows, better.other, better.one)
    assert names(judged(worse, POLICY, champion=False)) == ["ladder"]


def test_nothing_to_beat_is_a_refusal(better: Pair) -> None:
    case = replace(case_of(better, POLICY, champion=False), ladder=[])
    assert names(judge(case)) == ["ladder"]


@pytest.mark.parametrize("side", ["challenger", "champion", "ladder"])
def test_sealed_rows_among_training_rows_keep_the_seal_closed(better: Pair, side: str) -> None:
    case = case_of(better, POLICY)
    seen = case.seal.hashes[5:6]
    if side == "ladder":
        case = replace(case, ladder=[replace(case.ladder[0], train_rows=seen)])
    else:
        case = replace(case, **{side: replace(getattr(case, side), train_rows=seen)})
    verdict = judge(case)
    assert names(verdict) == ["lineage"]
    assert not verdict.opened
    assert case.openings.openings(case.seal.digest) == 0
    assert verdict.smallest_detectable_effect is None


def test_the_champion_itself_is_refused_unopened(better: Pair) -> None:
    case = case_of(better, POLICY)
    assert case.champion is not None
    verdict = judge(replace(case, champion=replace(case.champion, digest=case.challenger.digest)))
    assert verdict.reason() == "the challenger is the champion, byte for byte"
    assert not verdict.opened


def test_openings_are_limited(better: Pair) -> None:
    case = case_of(better, policy(max_openings=2))
    verdicts = [judge(case) for _ in range(3)]
    assert [v.opened for v in verdicts] == [True, True, False]
    assert names(verdicts[2]) == ["openings"]


def test_the_opening_is_recorded_before_anything_is_scored(better: Pair) -> None:
    case = case_of(better, POLICY)

    def fails(rows: pl.DataFrame) -> np.ndarray:
        assert case.openings.openings(case.seal.digest) == 1
        assert {"label", "label_time"}.isdisjoint(rows.columns)
        raise ExportError("it takes 7 columns")

    verdict = judge(replace(case, challenger=replace(case.challenger, score=fails)))
    assert names(verdict) == ["sane"]
    assert "it takes 7 columns" in verdict.reason()


def test_other_rows_than_the_sealed_ones_are_an_error(better: Pair) -> None:
    case = case_of(better, POLICY)
    with pytest.raises(GateError, match="not the sealed rows"):
        judge(replace(case, rows=case.rows.head(100)))


def test_hashes_that_the_manifest_does_not_name_are_an_error(better: Pair) -> None:
    seal = Seal.of_rows(better.rows)
    assert Seal.from_manifest({"digest": seal.digest}, seal.hashes[::-1]).digest == seal.digest
    with pytest.raises(GateError, match="manifest"):
        Seal.from_manifest({"digest": seal.digest}, seal.hashes[1:])


def test_every_check_is_made_even_when_an_early_one_fails(better: Pair) -> None:
    case = case_of(Pair(better.rows, better.other, better.one), policy(max_calibration_error=1e-9))
    case = replace(case, serving=None, challenger=replace(case.challenger, size_bytes=10**9))
    assert names(judge(case)) == ["champion", "calibration", "serving parity", "size"]


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda r: np.full(r.height, 0.1), "every row the same"),
        (lambda r: np.where(np.arange(r.height) == 3, np.nan, 0.1), "no finite numbers"),
        (lambda r: np.linspace(0, 2, r.height), "outside 0..1"),
        (lambda r: np.full((r.height, 2), 0.1), "shape"),
    ],
)
def test_insane_scores_are_refused_and_judged_no_further(better: Pair, score, said: str) -> None:  # type: ignore[no-untyped-def]
    case = case_of(better, POLICY)
    verdict = judge(replace(case, challenger=replace(case.challenger, score=score)))
    assert "sane" in names(verdict)
    assert said in verdict.reason()
    assert "ladder" not in [check.name for check in verdict.checks]


def test_a_gain_shown_to_be_below_the_minimal_effect_is_not_worth_it(better: Pair) -> None:
    assert "least effect" in judged(better, policy(min_effect=0.9)).reason()


def test_scores_too_sure_are_refused_though_their_order_is_right(better: Pair) -> None:
    p = np.clip(better.one.astype(np.float64), 1e-6, 1 - 1e-6)
    sure = 1 / (1 + ((1 - p) / p) ** 8)
    assert names(judged(Pair(better.rows, sure, better.other), POLICY)) == ["calibration"]


def test_a_slice_may_not_pay_for_the_others(better: Pair) -> None:
    settings = policy(max_slice_drop=0.05)
    slices = [{"column": "card", "bounds": []}]
    evaluation = settings.evaluation.model_validate({**settings.evaluation.model_dump(), "slices": slices})
    settings = settings.model_copy(update={"evaluation": evaluation})
    rows = better.rows.with_columns(card=(pl.int_range(pl.len()) % 4).cast(pl.String))
    hurt = np.where((rows["card"] == "2").to_numpy(), better.one[::-1], better.one)
    verdict = judged(Pair(rows, hurt, better.one * 0.999), settings)
    assert "slices" in names(verdict)
    assert "card 2 loses" in next(check.text for check in verdict.checks if check.name == "slices")
    assert "slices" not in names(judged(Pair(rows, better.one, better.other), settings))


def test_latency_is_read_off_the_clock_that_is_passed_in(better: Pair) -> None:
    case = case_of(better, POLICY)
    ticks = iter(np.cumsum([0.02] * 10_000).tolist())
    assert names(judge(replace(case, clock=lambda: next(ticks)))) == ["latency"]


def test_another_graph_behind_the_endpoint_is_refused(better: Pair) -> None:
    case = case_of(better, POLICY)
    assert case.serving is not None
    other = replace(case.serving, graph_digest="int8")
    assert names(judge(replace(case, serving=other))) == ["served graph"]


def test_served_scores_may_differ_by_rounding_only(better: Pair) -> None:
    case = case_of(better, POLICY)
    assert case.serving is not None
    for step, refused in ((1e-7, []), (1e-5, ["serving parity"])):
        served = replace(case.serving, score=lambda rows, step=step: case.challenger.score(rows) + step)  # type: ignore[misc]
        assert names(judge(replace(case, serving=served))) == refused


def test_a_feature_that_nothing_declares_is_refused(better: Pair) -> None:
    schema = FeatureSchema((FeatureColumn("amount"),))
    case = case_of(better, POLICY)
    verdict = judge(replace(case, challenger=replace(case.challenger, schema=schema)))
    assert names(verdict) == ["features recomputed"]
    joined = replace(case, challenger=replace(case.challenger, schema=schema), joined=["amount"])
    assert judge(joined).passed


def _same(one: Verdict, other: Verdict) -> bool:
    return one.document() == other.document()


def _variant(case: Case, **changes: object) -> Case:
    return replace(case, openings=CountedOpenings(), **changes)  # type: ignore[arg-type]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 2**31 - 1))
def test_a_verdict_depends_on_the_seed_alone_not_on_the_rows_order(world: int, seed: int) -> None:
    case = case_of(pair(world, better=0.5), POLICY, seed=seed)
    verdict = judge(case)
    fixed = {"clock": lambda: 0.0}
    verdict = judge(_variant(case, **fixed))
    assert _same(verdict, judge(_variant(case, **fixed)))
    shuffled = case.rows.sample(fraction=1, shuffle=True, seed=seed)
    assert _same(verdict, judge(_variant(case, rows=shuffled, **fixed)))


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.9))
def test_a_cluster_that_both_score_alike_does_not_change_who_is_better(world: int, level: float) -> None:
    """A terminal without positives that nobody can rank above a positive leaves both metrics where they are."""
    base = pair(world, better=1.0)
    last = base.rows.tail(1)
    extra = pl.concat([last] * 20).with_columns(
        event_id=pl.Series([f"extra{i}" for i in range(20)]),
        terminal=pl.lit("elsewhere"),
        label=pl.lit(0.0),
        event_time=pl.col("event_time") + timedelta(days=1),
    )
    lowest = np.full(20, float(min(base.one.min(), base.other.min())) * level, dtype=np.float32)
    rows = pl.concat([base.rows, extra])
    longer = Pair(rows, np.concatenate([base.one, lowest]), np.concatenate([base.other, lowest]))
    before, after = (
        next(check for check in judged(p, POLICY).checks if check.name == "champion") for p in (base, longer)
    )
    assert after.figures["difference"] == pytest.approx(before.figures["difference"], abs=1e-12)
    assert after.figures["standard_error"] == pytest.approx(before.figures["standard_error"], rel=0.2)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.booleans(), st.integers(0, 2**31 - 1))
def test_a_challenger_equal_to_its_rival_never_passes(world: int, champion: bool, seed: int) -> None:
    base = pair(world)
    assert not judged(Pair(base.rows, base.one, base.one), POLICY, seed=seed, champion=champion).passed


def test_a_metric_where_less_is_better(better: Pair) -> None:
    settings_ = policy(metric="log_loss")
    vague = Pair(better.rows, better.one, (better.one + 0.5) / 2)
    assert judged(vague, settings_).passed
    assert "champion" in names(judged(Pair(better.rows, vague.other, vague.one), settings_))


def test_a_metric_at_a_threshold_uses_each_side_s_own(better: Pair) -> None:
    case = case_of(better, policy(metric="f1"))
    high, low = replace(case.challenger, threshold=0.3), contender("rival", better.rows, better.one)
    verdict = judge(replace(case, challenger=high, champion=replace(low, threshold=0.999)))
    found = next(check for check in verdict.checks if check.name == "champion")
    assert found.passed
    assert found.figures["theirs"] == 0.0
