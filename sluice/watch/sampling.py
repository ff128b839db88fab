"""Draws the reference of a version (`sluice.watch.reference`) from the rows that it was trained and chosen on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from sluice.export.graph import Graph, Scorer
from sluice.features.schema import FeatureSchema
from sluice.scoring import score_table
from sluice.settings import UseCase
from sluice.splits.files import SCHEMA, read_rows
from sluice.watch.reference import REFERENCE


def write_reference(use_case: UseCase, version: Path, train: Path, validation: Path, folder: Path) -> Path:
    """Draw the reference of the version laid out in `version` from its train and validation rows, and write it."""
    schema = FeatureSchema.from_document(json.loads((version / SCHEMA).read_text()))
    graph = Graph((version / "model.onnx").read_bytes())
    table = reference_rows(use_case, graph, schema, read_rows(train), read_rows(validation))
    table.write_parquet(folder / REFERENCE)
    return folder / REFERENCE


def reference_rows(
    use_case: UseCase, graph: Scorer, schema: FeatureSchema, train: pl.DataFrame, validation: pl.DataFrame
) -> pl.DataFrame:
    """A sample of the last days before the test, drawn with the seed.

    Returns:
        `event_id`, `event_time`, the entities, `held_out` (a validation row, which the model did not learn from), the
        schema's features (Float32, or String for categories), `score` (Float32; of several classes the top one's).
    """
    kept = ["event_id", "event_time", *use_case.data.columns.entities, *schema.names]
    parts = (train.select(kept).with_columns(held_out=False), validation.select(kept).with_columns(held_out=True))
    rows = pl.concat(parts)
    last = rows.get_column("event_time").max()
    rows = rows.filter(pl.col("event_time") > pl.lit(last) - use_case.watch.reference)
    rows = rows.sample(min(rows.height, use_case.watch.reference_rows), seed=use_case.seed)
    rows = rows.sort("event_time", "event_id")
    return with_scores(rows, score_table(graph, schema, rows), schema)


def with_scores(rows: pl.DataFrame, scores: np.ndarray, schema: FeatureSchema) -> pl.DataFrame:
    """The rows with numbers as Float32 and a column `score` of [n] scores or of the top class's in [n x k]."""
    numbers = [column.name for column in schema.columns if column.kind == "number"]
    top = scores.max(axis=1) if scores.ndim == 2 else scores
    return rows.with_columns(pl.col(numbers).cast(pl.Float32), score=pl.Series(top.astype(np.float32)))
