"""Train one candidate of a use case and write all that later steps need of it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.errors import TrainingError
from sluice.evaluation.context import context_of
from sluice.evaluation.metrics import metric
from sluice.export.graph import Graph
from sluice.export.parity import check_parity
from sluice.export.writer import canonical
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER
from sluice.settings.training import Candidate
from sluice.splits import row_hashes
from sluice.steps import Progress, silent
from sluice.storage import Store
from sluice.training.candidates import read_params
from sluice.training.kinds import fit_kind
from sluice.training.problem import Problem

GRAPH, INT8_GRAPH, DOCUMENT = "model.onnx", "model.int8.onnx", "candidate.json"
TRAIN_ROWS, VALIDATION_SCORES = "train_rows.npy", "validation_scores.parquet"


@dataclass(frozen=True)
class Trained:
    """A candidate after training: its folder holds the files named above.

    Attributes:
        metric: the selection metric on validation, of the exported graph's scores.
        document: what candidate.json holds; `run` in it belongs to this run alone.
    """

    id: str
    kind: str
    folder: Path
    metric: float
    document: dict[str, Any]


def train_candidate(  # noqa: PLR0917
    candidate: Candidate,
    use_case: UseCase,
    schema: FeatureSchema,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    folder: Path,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Search, train, export and check one candidate.

    Args:
        train, validation: labelled rows; nothing but these is looked at.
        folder: receives model.onnx, candidate.json, train_rows.npy, validation_scores.parquet.
        store: keeps checkpoints, so that a killed training goes on; None: it starts anew.

    Raises:
        SettingsError: the candidate's parameters.
        TrainingError: it cannot be trained on these rows, or would not fit the card.
        ExportError: the graph does not score like the trained model.
    """
    started = time.monotonic()
    problem = _problem(use_case, schema, train, validation, progress or silent)
    params = read_params(candidate, dict(candidate.params))
    fit = fit_kind(problem, params, candidate.import_)
    seconds = time.monotonic() - started
    graph = canonical(fit.model.to_onnx())
    scores = Graph(graph).score(problem.x_validation)
    parity = check_parity(
        scores, fit.model.score(problem.x_validation), use_case.export.tolerance, f"candidate {candidate.id}"
    )
    document: dict[str, Any] = {
        "format": 1,
        "id": candidate.id,
        "kind": candidate.kind,
        "task": use_case.task,
        "params": params if isinstance(params, dict) else params.model_dump(mode="json"),
        "search": None,
        "seed": use_case.seed,
        "rows": {"train": train.height, "validation": validation.height},
        "metric": {"name": use_case.training.metric, "validation": problem.measure(scores)},
        "curves": fit.curves,
        "notes": fit.notes,
        "parity": {"largest_difference": parity, "tolerance": use_case.export.tolerance},
        "int8": None,
        "memory": fit.plan,
        "run": {"seconds": seconds, "rows_per_second": fit.rows_seen / max(seconds, 1e-9), **fit.run},
    }
    _write(folder, graph, document, train, validation, scores)
    return Trained(candidate.id, candidate.kind, folder, document["metric"]["validation"], document)


def _problem(
    use_case: UseCase, schema: FeatureSchema, train: pl.DataFrame, validation: pl.DataFrame, progress: Progress
) -> Problem:
    for name, rows in (("train", train), ("validation", validation)):
        if rows.is_empty():
            raise TrainingError(f"there are no {name} rows", "widen the split, or look at what it left out")
    task, name = use_case.task, use_case.training.metric
    y = validation.get_column("label").to_numpy().astype(np.float64)
    known = [f.select("label", "label_time", *use_case.data.columns.entities) for f in (train, validation)]
    context = context_of(use_case, validation, labels=pl.concat(known))
    return Problem(
        task=task,
        classes={"binary": 2, "regression": 0}.get(task, len(use_case.data.labels.classes)),
        schema=schema,
        x=to_matrix(schema, train),
        y=train.get_column("label").to_numpy().astype(np.float64),
        x_validation=to_matrix(schema, validation),
        y_validation=y,
        measure=lambda score: metric(name, task, y, score, context=context),
        higher=HIGHER_IS_BETTER[task][name],
        absolute=name in ("mae", "pinball"),
        seed=use_case.seed,
        threads=use_case.training.threads,
        device=use_case.training.device,
        memory=use_case.training.memory,
        opset=use_case.export.opset,
        progress=progress,
    )


def _write(  # noqa: PLR0917
    folder: Path,
    graph: bytes,
    document: dict[str, Any],
    train: pl.DataFrame,
    validation: pl.DataFrame,
    scores: np.ndarray,
) -> None:
    """All files; candidate.json last, so that a folder with it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DOCUMENT).unlink(missing_ok=True)
    (folder / GRAPH).write_bytes(graph)
    np.save(folder / TRAIN_ROWS, row_hashes(train.get_column("event_id").to_list()), allow_pickle=False)
    score = pl.Series("score", scores.tolist()) if scores.ndim > 1 else pl.Series("score", scores)
    validation.select("event_id", "label").with_columns(score).write_parquet(folder / VALIDATION_SCORES)
    (folder / DOCUMENT).write_bytes(json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode())
