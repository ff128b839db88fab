"""Has the world of a served version moved? A window of rows against the reference beside the version."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sluice import digests
from sluice.features.schema import FeatureSchema
from sluice.settings.watch import Watch
from sluice.steps import Progress, silent
from sluice.watch import door

REFERENCE_TABLE, WINDOW_TABLE, REQUEST, RESULT = "reference.parquet", "window.parquet", "request.json", "drift.json"


@dataclass(frozen=True)
class Drift:
    """What was found, and the rows that it was found in.

    Attributes:
        document: `verdict` (quiet, drift or data-fault), `p_value` and `alarm_rate` of it, `rows`, `days`;
            `features`, each with `distance`, `usual`, `moved`, `fault`, `psi`, `p_value`, `discovered` and means;
            `score` and `classifier` likewise.
        reference, window: the rows.
    """

    document: dict[str, Any]
    reference: pl.DataFrame
    window: pl.DataFrame

    @property
    def verdict(self) -> str:
        """quiet, drift or data-fault."""
        return str(self.document["verdict"])

    def metrics(self) -> dict[str, float]:
        """Figures for a metrics file: the verdict's, and distance and stability index of each feature and of scores."""
        document = self.document
        found = {
            "p_value": float(document["p_value"]),
            "classifier_distance": float(document["classifier"]["distance"]),
        }
        for part in (*document["features"], document["score"]):
            found |= {
                f"{part['feature']}_distance": float(part["distance"]),
                f"{part['feature']}_psi": float(part["psi"]),
            }
        return found


def detect(
    settings: Watch,
    schema: FeatureSchema,
    reference: pl.DataFrame,
    window: pl.DataFrame,
    *,
    seed: int,
    python: Path | None = None,
    progress: Progress = silent,
) -> Drift:
    """Compare a window with a reference, in the other environment.

    Args:
        reference: what `sluice.watch.reference` writes.
        window: `event_time`, the schema's features and `score`.
        python: the other environment's interpreter.

    Raises:
        WatchError: the window is too long for the reference, or the environment is not there.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-drift-") as scratch:
        folder = Path(scratch)
        write_task(folder, settings, schema, reference, window, seed=seed)
        found = run_task(folder, python=python, progress=progress)
        assert found is not None
        return found


def write_task(
    folder: Path,
    settings: Watch,
    schema: FeatureSchema,
    reference: pl.DataFrame | None,
    window: pl.DataFrame,
    *,
    seed: int,
) -> None:
    """Write what the other environment's task `drift` reads; arguments as in `detect`.

    Without a reference nothing is to be tested, and the task finds nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(schema.names)
    request = {
        "schema": schema.document(),
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "test": reference is not None,
    }
    if reference is not None:
        reference.select("event_time", "held_out", *names, "score").write_parquet(folder / REFERENCE_TABLE)
    window.select("event_time", *names, "score").write_parquet(folder / WINDOW_TABLE)
    (folder / REQUEST).write_bytes(digests.canonical_json(request))


def run_task(folder: Path, *, python: Path | None = None, progress: Progress = silent) -> Drift | None:
    """Do the task that lies in a folder, in the other environment; arguments and errors as in `detect`."""
    door.call("drift", folder, python=python, progress=progress)
    return read_task(folder)


def read_task(folder: Path, into: Path | None = None) -> Drift | None:
    """What the task found (`into` that folder, else into its own), with the rows that it was given."""
    document = json.loads(((into or folder) / RESULT).read_text())
    if document is None:
        return None
    reference, window = (pl.read_parquet(folder / name) for name in (REFERENCE_TABLE, WINDOW_TABLE))
    return Drift(document, reference, window)
