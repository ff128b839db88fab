"""The task `explain`: rows of a table, or the events of a V1 body, explained by asking a running predictor.

In the folder: what `Explaining` reads, `request.json` (`predictor`, its address), and `vectors.parquet` (`event_id` and
the features as the graph takes them) or `instances.json`. Written: `explanations.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from sluice.steps import Progress
from sluice.watch.alibi.explaining import Explaining
from sluice.watch.alibi.files import EXPLANATIONS, INSTANCES, REQUEST, VECTORS
from sluice.watch.alibi.predictor import Predictor, Resolved


def run(folder: Path, into: Path, progress: Progress) -> None:
    """Do the task over `folder`. Each row has a budget of its own."""
    address = str(json.loads((folder / REQUEST).read_text())["predictor"])
    explaining = Explaining(folder)
    predictor = explaining.predictor(address, explaining.budget())
    try:
        rows = _rows(folder, explaining, predictor)
        found = []
        for number, name in enumerate(rows.ids):
            progress("rows", number, len(rows.ids), f"{name}")
            predictor.budget = explaining.budget()
            explained: dict[str, Any] = explaining.explain(predictor, rows.features[number], rows.scores[number])
            found.append({"event_id": name, **explained})
    finally:
        predictor.close()
    document = {"format": 1, "method": explaining.settings["method"], "explanations": found}
    (into / EXPLANATIONS).write_text(json.dumps(document, allow_nan=False))


def _rows(folder: Path, explaining: Explaining, predictor: Predictor) -> Resolved:
    instances = folder / INSTANCES
    if instances.exists():
        return predictor.resolve(instances.read_bytes())
    table = pl.read_parquet(folder / VECTORS)
    vectors = table.select(explaining.schema.names).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return Resolved(table.get_column("event_id").to_list(), vectors, predictor.score(vectors))
