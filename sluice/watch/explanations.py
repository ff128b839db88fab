"""Why a score is what it is: what an explainer of a version needs, and the top reasons of rows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sluice import digests
from sluice.features.schema import to_matrix
from sluice.registry.servable import Servable
from sluice.settings.explanations import Explanations
from sluice.steps import Progress, silent
from sluice.watch import door
from sluice.watch.alibi.files import BACKGROUND, DOCUMENT, EXPLANATIONS, INSTANCES, REQUEST, VECTORS


@dataclass(frozen=True)
class Explained:
    """One row: its event, its score, why in words, and the whole document (docs/explanations.md)."""

    event_id: str
    score: float
    reasons: list[str]
    document: dict[str, Any]


def write_explainer(servable: Servable, reference: pl.DataFrame, settings: Explanations, folder: Path) -> Path:
    """Write what the other environment needs to explain a version.

    Args:
        reference: what `sluice.watch.reference` keeps beside the version; its train rows become the background.
        folder: is made; holds two files afterwards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train = reference.filter(~pl.col("held_out"))
    names = list(servable.schema.names)
    matrix = to_matrix(servable.schema, train if train.height else reference)
    most = max(settings.kernel_shap.background, settings.anchors.rows)
    background = pl.DataFrame(matrix, schema=names, orient="row")
    background = background.sample(min(most, background.height), seed=servable.use_case.seed, shuffle=True)
    background.write_parquet(folder / BACKGROUND)
    (folder / DOCUMENT).write_bytes(digests.canonical_json(_document(servable, settings)))
    return folder


def explain_rows(
    servable: Servable,
    reference: pl.DataFrame,
    settings: Explanations,
    asked: pl.DataFrame | bytes,
    predictor: str,
    *,
    python: Path | None = None,
    progress: Progress = silent,
) -> list[Explained]:
    """Explain rows in the other environment, by asking a running server of the same version.

    Args:
        asked: feature rows with `event_id`; or a V1 body, whose features the server composes.
        predictor: http://host:port of the server.

    Raises:
        WatchError: the environment is not there, the server refuses or does not answer, or the budget is spent.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-explain-") as scratch:
        folder = write_explainer(servable, reference, settings, Path(scratch))
        if isinstance(asked, bytes):
            (folder / INSTANCES).write_bytes(asked)
        else:
            vectors = pl.DataFrame(to_matrix(servable.schema, asked), schema=list(servable.schema.names), orient="row")
            vectors.with_columns(event_id=asked.get_column("event_id")).write_parquet(folder / VECTORS)
        (folder / REQUEST).write_text(json.dumps({"predictor": predictor}))
        door.call("explain", folder, python=python, progress=progress)
        found = json.loads((folder / EXPLANATIONS).read_text())["explanations"]
    return [
        Explained(str(one["event_id"]), one["score"], [reason["text"] for reason in one["reasons"]], one)
        for one in found
    ]


@contextmanager
def running_explainer(folder: Path, predictor: str, *, port: int = 0, python: Path | None = None) -> Iterator[str]:
    """The address of an explainer of its own process while the block lasts; it is killed when this process ends.

    Args:
        folder: what `write_explainer` wrote.
        predictor: http://host:port of the server of the same version.

    Raises:
        WatchError: it does not start; its own words are on standard error.
    """
    options = ["--predictor", predictor]
    with door.server("sluice.watch.alibi.explainer", folder, [*options, "--port", str(port)], python=python) as address:
        yield address


def _document(servable: Servable, settings: Explanations) -> dict[str, Any]:
    use_case = servable.use_case
    return {
        "format": 1,
        "model": servable.model,
        "version": servable.digest,
        "schema": servable.schema.document(),
        "classes": list(use_case.data.labels.classes) if use_case.task == "multiclass" else [],
        "threshold": servable.threshold,
        "seed": use_case.seed,
        "max_batch": use_case.serving.max_batch,
        "max_body": use_case.serving.max_body,
        "settings": {**settings.model_dump(mode="json"), "seconds": settings.seconds.total_seconds()},
    }
