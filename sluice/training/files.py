"""The files of a trained candidate."""

from __future__ import annotations

import json
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
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (folder / DOCUMENT).write_text(text + "\n", encoding="utf-8")


def validation_scores(validation: pl.DataFrame, scores: np.ndarray) -> pl.DataFrame:
    """`event_id`, `label` and `score`: Float32, or a list of them for several classes."""
    column = pl.Series("score", scores.tolist(), dtype=pl.List(pl.Float32)) if scores.ndim > 1 else scores
    return validation.select("event_id", "label").with_columns(pl.Series("score", column))
