"""The parts of a split as folders: what the pipeline's steps hand on.

train/       rows.parquet  schema.json (vocabularies from these rows only)  split.json  data.json (the data's digest)
validation/  rows.parquet
sealed/      rows.parquet  seal.json  rows.npy (sorted uint64 row hashes)  split.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.features.schema import FeatureSchema, fit_schema
from sluice.ingest import Ingested
from sluice.settings import UseCase
from sluice.splits.hashes import row_hashes
from sluice.splits.seal import seal
from sluice.splits.split import Split, split_rows

ROWS, SCHEMA, SEAL, HASHES, SUMMARY = "rows.parquet", "schema.json", "seal.json", "rows.npy", "split.json"
DATA = "data.json"


def write_split(
    use_case: UseCase, rows: pl.DataFrame, ingested: Ingested, *, train: Path, validation: Path, sealed: Path
) -> dict[str, int]:
    """Split feature rows into the three folders; returns the rows in each part and those left out, by reason."""
    split = split_rows(use_case, rows, ingested.labels)
    for folder, part in ((train, split.train), (validation, split.validation), (sealed, split.test)):
        folder.mkdir(parents=True, exist_ok=True)
        part.write_parquet(folder / ROWS)
    _write_json(train / SCHEMA, schema_of(use_case, split).document())
    _write_json(train / DATA, {"digest": ingested.digest})
    _write_json(sealed / SEAL, seal(split, use_case))
    np.save(sealed / HASHES, row_hashes(split.test.get_column("event_id").to_list()))
    for folder in (train, sealed):
        _write_json(folder / SUMMARY, split.summary())
    kept = {"train": split.train.height, "validation": split.validation.height, "test": split.test.height}
    return kept | {f"left out: {reason}": count for reason, count in split.left_out.items()}


def schema_of(use_case: UseCase, split: Split) -> FeatureSchema:
    """The feature columns in order, with categories as the train rows know them."""
    known = {"event_id", "event_time", "arrival", "label", "label_time", *use_case.data.columns.entities}
    names = [name for name in split.train.columns if name not in known]
    values = use_case.data.columns.values
    rarest = {f.name: values[f.column].min_count for f in use_case.features.request if f.kind == "value"}
    return fit_schema(split.train, names, use_case.features.fills, rarest)


def read_rows(folder: Path) -> pl.DataFrame:
    """The labelled rows of a part."""
    return pl.read_parquet(folder / ROWS)


def read_schema(train: Path) -> FeatureSchema:
    """The feature schema beside the train rows."""
    return FeatureSchema.from_document(json.loads((train / SCHEMA).read_text()))


def read_data_digest(train: Path) -> str:
    """The digest of the events and labels that the rows were made from."""
    return str(json.loads((train / DATA).read_text())["digest"])


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1))
