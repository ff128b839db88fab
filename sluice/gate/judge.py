"""The judgement: lineage, one recorded opening, then every check that can be made, whatever the others said."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from sluice.gate import checks
from sluice.gate.budgets import budget_checks
from sluice.gate.case import Case, Contender
from sluice.gate.lineage import lineage_checks
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
    limit = case.use_case.gate.max_openings
    case.openings.record_opening(case.seal.digest, version=case.challenger.digest, limit=limit)
    rows = case.rows.sort("event_time", "event_id")
    scores = {name: contender.score(rows.drop(_NOT_FOR_SCORERS)) for name, contender in _contenders(case).items()}
    classes = len(case.use_case.data.labels.classes)
    sane = checks.sanity(case.challenger.name, scores["challenger"], rows.height, case.use_case.task, classes)
    found = [*before, sane]
    comparisons: dict[str, Comparison] = {}
    if sane.passed:
        measure = measure_of(case.use_case, rows, case.use_case.gate.metric)
        comparisons = _comparisons(case, measure, scores)
        found += _statistical(case, measure, scores, comparisons)
    found += budget_checks(case.challenger, _sample(case, rows), case.use_case.gate.budgets, case.clock)
    return _verdict(case, found, opened=True, comparisons=comparisons, scores=_table(rows, scores), rows=rows)


def _contenders(case: Case) -> dict[str, Contender]:
    named = {"challenger": case.challenger}
    if case.champion is not None:
        named["champion"] = case.champion
    return {**named, **{f"rung {rung.name}": rung for rung in case.ladder}}


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
    threshold = _contenders(case)[name].threshold
    return (score >= (0.5 if threshold is None else threshold)).astype(np.float64)


def _statistical(
    case: Case, measure: Measure, scores: Mapping[str, np.ndarray], comparisons: Mapping[str, Comparison]
) -> list[Check]:
    gate = case.use_case.gate
    rungs = [(rung.name, comparisons[f"rung {rung.name}"]) for rung in case.ladder]
    found = checks.ladder(rungs, gate.alpha, case.champion is not None)
    if case.champion is not None:
        found.append(checks.champion(case.champion.name, comparisons["champion"], gate.alpha, gate.min_effect))
    found.append(checks.calibration(measure, scores["challenger"], gate.max_calibration_error))
    return found


def _sample(case: Case, rows: pl.DataFrame) -> pl.DataFrame:
    count = min(case.use_case.gate.parity_rows, rows.height)
    return rows.sample(count, seed=case.seed).sort("event_time", "event_id")


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
    decisive = _decisive(comparisons or {})
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


def _decisive(comparisons: Mapping[str, Comparison]) -> Comparison | None:
    """The comparison that is hardest to win: the champion, else the best rung."""
    if "champion" in comparisons:
        return comparisons["champion"]
    return min(comparisons.values(), key=lambda found: found.difference, default=None)
