"""The files of a trained candidate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.splits import row_hashes

GRAPH, INT8_GRAPH, DOCUMENT = "model.onnx", "model.int8.onnx", "candidate.json"
TRAIN_ROWS, VALIDATION_SCORES = "train_rows.npy", "validation_scores.parquet"


def write_candidate(
    folder: Path, graphs: dict[str, bytes], document: dict[str, Any], train_ids: list[str], scores: pl.DataFrame
) -> None:
    """Write all files, candidate.json last: a folder that has it is whole.

    Args:
        graphs: bytes by file name.
        train_ids: event ids of the train rows; their hashes are written.
        scores: `event_id`, `label`, `score` of the validation rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (DOCUMENT, INT8_GRAPH):
        (folder / name).unlink(missing_ok=True)
    for name, graph in graphs.items():
        (folder / name).write_bytes(graph)
    np.save(folder / TRAIN_ROWS, row_hashes(train_ids), allow_pickle=False)
    scores.write_parquet(folder / VALIDATION_SCORES)
    _write_document(folder, document)


def write_without_model(folder: Path, document: dict[str, Any]) -> None:
    """Write candidate.json alone: of a search's task none of whose trials could be trained."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_document(folder, document)


def merge_tasks(records: list[tuple[Path, dict[str, Any]]], higher: bool, folder: Path) -> dict[str, Any]:
    """One candidate of the tasks that shared its search out: the files of the best trial, and all trials, in `folder`.

    Of equal trials the one with the lower number wins, as it does in a single task.
    """
    best: tuple[float, int, int] | None = None
    for place, (_, record) in enumerate(records):
        for trial in record["search"] or [{"number": 0, "validation": record["metric"]["validation"]}]:
            if trial["validation"] is not None:
                key = (trial["validation"] * (-1 if higher else 1), trial["number"], place)
                best = key if best is None else min(best, key)
    assert best is not None, "the task with the fixed parameters fails where these cannot be trained"
    path, chosen = records[best[2]]
    shutil.copytree(path, folder, dirs_exist_ok=True)
    if len(records) == 1:
        return chosen
    trials = sorted((trial for _, record in records for trial in record["search"]), key=lambda trial: trial["number"])
    document = {**chosen, "search": trials}
    _write_document(folder, document)
    return document


def _write_document(folder: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / DOCUMENT).write_text(text + "\n", encoding="utf-8")


def validation_scores(validation: pl.DataFrame, scores: np.ndarray) -> pl.DataFrame:
    """`event_id`, `label` and `score`: Float32, or a list of them for several classes."""
    column = pl.Series("score", scores.tolist(), dtype=pl.List(pl.Float32)) if scores.ndim > 1 else scores
    return validation.select("event_id", "label").with_columns(pl.Series("score", column))
