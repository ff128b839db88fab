"""The judgement: lineage, one recorded opening, then every check that can be made, whatever the others said."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from sluice.errors import SluiceError
from sluice.evaluation.slices import Part, slices_of
from sluice.gate import checks
from sluice.gate.budgets import budget_checks
from sluice.gate.calibration import calibration_check
from sluice.gate.case import Case, Contender
from sluice.gate.lineage import lineage_checks
from sluice.gate.parity import features_recomputed, sample_of, served_as_judged
from sluice.gate.slices import slice_check
from sluice.gate.statistics import Comparison, Measure, compare, measure_of
from sluice.gate.verdict import Check, Verdict

_NOT_FOR_SCORERS = ("label", "label_time")
_AT_A_THRESHOLD = ("accuracy", "precision", "recall", "f1")


def judge(case: Case) -> Verdict:
    """Judge the challenger of a case.

    Lineage comes first and leaves the seal closed where it fails. Then the opening is recorded, everybody scores the
    sealed rows, and all checks are made, so that a verdict says everything that is wrong at once.

    Raises:
        GateError: the case cannot be judged (the rows are not the seal's).
    """
    before = lineage_checks(case)
    if not all(check.passed for check in before):
        return _verdict(case, before, opened=False)
    rows = case.rows.sort("event_time", "event_id")
    # Read before the opening, so that settings that do not fit the rows cost none.
    parts = slices_of(case.use_case, rows)
    limit = case.use_case.gate.max_openings
    case.openings.record_opening(case.seal.digest, version=case.challenger.digest, limit=limit)
    scores, broken = _scored(case, rows)
    if broken is not None:
        return _verdict(case, [*before, broken], opened=True)
    classes = len(case.use_case.data.labels.classes)
    sane = checks.sanity(case.challenger.name, scores["challenger"], rows.height, case.use_case.task, classes)
    found = [*before, sane]
    comparisons: dict[str, Comparison] = {}
    if sane.passed:
        measure = measure_of(case.use_case, rows, case.use_case.gate.metric)
        comparisons = _comparisons(case, measure, scores)
        found += _statistical(case, parts, measure, scores, comparisons)
    found += _sampled(case, rows, scores["challenger"])
    return _verdict(case, found, opened=True, comparisons=comparisons, scores=_table(rows, scores), rows=rows)


def _scored(case: Case, rows: pl.DataFrame) -> tuple[dict[str, np.ndarray], Check | None]:
    """Everybody's scores; a challenger that cannot score is a refusal, anybody else an error."""
    asked = rows.drop(_NOT_FOR_SCORERS, strict=False)
    try:
        scores = {"challenger": np.asarray(case.challenger.score(asked))}
    except SluiceError as error:
        return {}, Check("sane", False, f"{case.challenger.name} cannot score the sealed rows: {error.message}")
    return scores | {name: np.asarray(other.score(asked)) for name, other in _others(case).items()}, None


def _sampled(case: Case, rows: pl.DataFrame, judged: np.ndarray) -> list[Check]:
    sample = sample_of(case, rows)
    inside = rows.get_column("event_id").is_in(sample.get_column("event_id").to_list()).to_numpy()
    return [
        features_recomputed(case, sample),
        *served_as_judged(case, sample, judged[inside]),
        *budget_checks(case.challenger, sample, case.use_case.gate.budgets, case.clock),
    ]


def _others(case: Case) -> dict[str, Contender]:
    champion = {} if case.champion is None else {"champion": case.champion}
    return champion | {f"rung {rung.name}": rung for rung in case.ladder}


def _comparisons(case: Case, measure: Measure, scores: Mapping[str, np.ndarray]) -> dict[str, Comparison]:
    gate, resamples = case.use_case.gate, case.use_case.evaluation.bootstrap.resamples
    mine = _as_measured(case, "challenger", scores["challenger"])
    return {
        name: compare(
            measure, mine, _as_measured(case, name, score), alpha=gate.alpha, resamples=resamples, seed=case.seed
        )
        for name, score in scores.items()
        if name != "challenger"
    }


def _as_measured(case: Case, name: str, score: np.ndarray) -> np.ndarray:
    """Scores as the gate's metric sees them: where it cuts at a threshold, each contender's own decides."""
    if case.use_case.task != "binary" or case.use_case.gate.metric not in _AT_A_THRESHOLD:
        return score
    contender = case.challenger if name == "challenger" else _others(case)[name]
    threshold = contender.threshold
    return (score >= (0.5 if threshold is None else threshold)).astype(np.float64)


def _statistical(
    case: Case,
    parts: list[Part],
    measure: Measure,
    scores: Mapping[str, np.ndarray],
    comparisons: Mapping[str, Comparison],
) -> list[Check]:
    gate, mine = case.use_case.gate, scores["challenger"]
    rungs = [(rung.name, comparisons[f"rung {rung.name}"]) for rung in case.ladder]
    found = checks.ladder(rungs, gate.alpha, case.champion is not None)
    if case.champion is not None:
        found.append(checks.champion(case.champion.name, comparisons["champion"], gate.alpha, gate.min_effect))
    rival = _decisive(comparisons)
    if rival is not None:
        pair = [_as_measured(case, name, scores[name]) for name in ("challenger", rival)]
        found.append(slice_check(case.use_case, parts, measure, *pair, against=rival, seed=case.seed))
    found.append(calibration_check(case.use_case, measure, mine, seed=case.seed))
    return found


def _table(rows: pl.DataFrame, scores: Mapping[str, np.ndarray]) -> pl.DataFrame:
    columns = rows.select("event_id", "label")
    for name, score in scores.items():
        parts = {name: score} if score.ndim == 1 else {f"{name} {i}": score[:, i] for i in range(score.shape[1])}
        columns = columns.with_columns(pl.Series(part, values) for part, values in parts.items())
    return columns


def _verdict(
    case: Case,
    found: list[Check],
    *,
    opened: bool,
    comparisons: Mapping[str, Comparison] | None = None,
    scores: pl.DataFrame | None = None,
    rows: pl.DataFrame | None = None,
) -> Verdict:
    gate = case.use_case.gate
    rival = _decisive(comparisons or {})
    decisive = None if comparisons is None or rival is None else comparisons[rival]
    counts = {"rows": len(case.seal.hashes), "openings": case.openings.openings(case.seal.digest)}
    if decisive is not None:
        counts["clusters"] = decisive.clusters
    if rows is not None and case.use_case.task == "binary":
        counts["positives"] = int(rows.get_column("label").sum())
    return Verdict(
        checks=tuple(found),
        opened=opened,
        metric=gate.metric,
        alpha=gate.alpha,
        smallest_detectable_effect=decisive.detectable if decisive else None,
        counts=counts,
        seeds={"gate": case.seed},
        digests={
            "challenger": case.challenger.digest,
            "graph": case.challenger.graph_digest,
            "champion": case.champion.digest if case.champion else None,
            "seal": case.seal.digest,
        },
        scores=scores,
    )


def _decisive(comparisons: Mapping[str, Comparison]) -> str | None:
    """Name of the other side that is hardest to beat: the champion, else the best rung."""
    if "champion" in comparisons:
        return "champion"
    return min(comparisons, key=lambda name: comparisons[name].difference, default=None)
