"""What a decision rests on, written before it: verdict, sealed scores, what they are worth, report and card."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from sluice import digests
from sluice.evaluation.drift import feature_drift
from sluice.features.schema import FeatureSchema
from sluice.gate.case import Case
from sluice.gate.verdict import Verdict
from sluice.ingest import Ingested
from sluice.promotion.case import Folders
from sluice.report import Evidence, evaluations_of, write_card, write_report
from sluice.settings import UseCase
from sluice.splits.files import SCHEMA, SUMMARY, read_rows
from sluice.watch.reference import REFERENCE

VERDICT, SCORES, METRICS = "verdict.json", "sealed_scores.parquet", "sealed_metrics.json"
EVIDENCE = (VERDICT, SCORES, METRICS, "report.html", "card.md", "card.html")
_OF_METRICS = ("format", "rows", "threshold", "cluster", "clusters", "confidence", "resamples", "metrics")


def write_evidence(
    folders: Folders, case: Case, verdict: Verdict, folder: Path, *, decision: str, run: str, written: datetime
) -> dict[str, Path]:
    """Write the evidence into `folder`; returns what goes beside the decision, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT).write_bytes(digests.canonical_json(verdict.document()))
    if verdict.scores is not None:
        verdict.scores.write_parquet(folder / SCORES)
    evidence = _evidence(folders, case, verdict, decision=decision, run=run, written=written)
    if evidence.challenger is not None:
        (folder / METRICS).write_bytes(digests.canonical_json({n: evidence.challenger[n] for n in _OF_METRICS}))
    write_report(evidence, folder)
    write_card(evidence, folder)
    written_here = [folder / name for name in EVIDENCE]
    return {path.name: path for path in (*written_here, folders.challenger / REFERENCE) if path.exists()}


def decision_kind(use_case: UseCase, verdict: Verdict, *, withdrawn: bool, first: bool) -> str:
    """What the log will say. A version that was taken back returns only when people approve.

    Args:
        first: there is no champion, which a rollout would compare with.
    """
    if not verdict.passed:
        return "refused"
    if use_case.gate.approval == "required" or withdrawn:
        return "awaiting-approval"
    return "cleared" if use_case.rollout.enabled and not first else "promoted"


def _evidence(
    folders: Folders, case: Case, verdict: Verdict, *, decision: str, run: str, written: datetime
) -> Evidence:
    use_case = case.use_case
    selection, document = folders.selection(), folders.document()
    schema = FeatureSchema.from_document(_read(folders.train / SCHEMA))
    train = read_rows(folders.train)
    named = {"challenger": case.challenger, "champion": case.champion, **{f"rung {r.name}": r for r in case.ladder}}
    thresholds = {name: one.threshold for name, one in named.items() if one is not None}
    return Evidence(
        use_case=use_case,
        verdict=verdict.document(),
        decision=decision,
        evaluations=evaluations_of(
            use_case,
            case.rows,
            verdict.scores,
            thresholds=thresholds,
            seed=use_case.seed,
            labels=_since(case.labels, train),
        ),
        candidates=[_read(folders.challenger / "ladder" / name / "candidate.json") for name in selection["order"]],
        chosen=selection["chosen"],
        split=_read(folders.sealed / SUMMARY),
        schema=schema.document(),
        drift=feature_drift(train, case.rows, schema.names),
        ingest=Ingested.read(folders.history).counts,
        version=case.challenger.digest,
        digests={name: document[name] for name in ("data", "code")} | dict(verdict.digests),
        run=run,
        written=written,
    )


def _since(labels: pl.DataFrame, train: pl.DataFrame) -> pl.DataFrame:
    """The label stream from the first training row on: what card precision may know of."""
    return labels.filter(pl.col("event_time") >= train.get_column("event_time").min())


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))
