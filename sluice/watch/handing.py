"""What was gathered, from one step of the monitoring pipeline to the next: two tables and a document in a folder.

gathered.json    version, schema, instants, counts, the gate's promise, the window's document where it is recorded
known.parquet    the answers of the last days with the labels that had arrived
window.parquet   the window's feature rows, in the detectors' task (`sluice.watch.drift`) beside it
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice import digests
from sluice.errors import IntegrityError
from sluice.evaluation.bootstrap import Interval
from sluice.features.schema import FeatureSchema
from sluice.settings import UseCase
from sluice.watch.drift import WINDOW_TABLE
from sluice.watch.estimate import Calibrator
from sluice.watch.monitor import Gathered
from sluice.watch.performance import Known, metric_names
from sluice.watch.promise import Promise
from sluice.watch.records import Span

FORMAT = 1
DOCUMENT, KNOWN, SCORE = "gathered.json", "known.parquet", "score "


def write_gathered(gathered: Gathered, folder: Path) -> None:
    """Write all but the window's rows, which the detectors' task holds, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    known = gathered.known
    score = known.score if known.score.ndim == 2 else known.score[:, None]
    columns = [pl.Series(f"{SCORE}{i}", score[:, i]) for i in range(score.shape[1])]
    known.rows.with_columns(columns).write_parquet(folder / KNOWN)
    document = {
        "format": FORMAT,
        "version": gathered.version,
        "schema": gathered.schema.document(),
        "at": gathered.at.isoformat(),
        "start": gathered.span.start.isoformat(),
        "end": gathered.span.end.isoformat(),
        "answers": gathered.answers,
        "threshold": known.threshold,
        "promise": _promise_document(gathered.promise),
        "recorded": gathered.recorded,
    }
    (folder / DOCUMENT).write_bytes(digests.canonical_json(document))


def read_gathered(use_case: UseCase, folder: Path, task: Path) -> Gathered:
    """Inverse of `write_gathered`; `task` is the folder of the detectors' task.

    Raises:
        IntegrityError: another release wrote it.
    """
    document = json.loads((folder / DOCUMENT).read_text())
    if document["format"] != FORMAT:
        raise IntegrityError(f"{folder}: format {document['format']!r}, expected {FORMAT}", "let one release run all")
    at, start, end = (datetime.fromisoformat(document[name]) for name in ("at", "start", "end"))
    return Gathered(
        use_case,
        document["version"],
        FeatureSchema.from_document(document["schema"]),
        at,
        Span(start, end),
        pl.read_parquet(task / WINDOW_TABLE),
        document["answers"],
        _known(use_case, pl.read_parquet(folder / KNOWN), document["threshold"]),
        _promise(use_case, document["promise"]),
        document["recorded"],
    )


def _known(use_case: UseCase, table: pl.DataFrame, threshold: float) -> Known:
    names = [name for name in table.columns if name.startswith(SCORE)]
    score = table.select(names).to_numpy().astype(np.float64)
    return Known(table.drop(names), score if use_case.task == "multiclass" else score[:, 0], threshold)


def _promise_document(promise: Promise) -> dict[str, Any]:
    learned = promise.calibrator
    return {
        "decision": promise.decision,
        "metrics": {name: one.document() for name, one in promise.metrics.items()},
        "rows": promise.rows,
        "positives": promise.positives,
        "calibrator": learned and {"scores": learned.scores, "probabilities": learned.probabilities},
    }


def _promise(use_case: UseCase, document: dict[str, Any]) -> Promise:
    metrics = {name: Interval.from_document(document["metrics"][name]) for name in metric_names(use_case)}
    learned = document["calibrator"]
    calibrator = learned and Calibrator(tuple(learned["scores"]), tuple(learned["probabilities"]))
    return Promise(document["decision"], metrics, document["rows"], document["positives"], calibrator)
