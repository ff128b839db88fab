"""Put a case together: the challenger and its ladder from folders, the champion from the registry."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice.features.historical import feature_rows
from sluice.features.repository import read_service
from sluice.features.schema import FeatureSchema
from sluice.gate.case import Case, Contender, Seal
from sluice.ingest import Ingested
from sluice.promotion.serving_path import serving_path
from sluice.registry import Registry, Version
from sluice.settings import UseCase, parse_sections
from sluice.splits.files import HASHES, SCHEMA, SEAL, read_rows
from sluice.training.task import validation_threshold


@dataclass(frozen=True)
class Folders:
    """What the earlier steps left."""

    challenger: Path
    train: Path
    sealed: Path
    history: Path

    def selection(self) -> dict[str, Any]:
        """Order of the candidates, their validation metric, and the choice."""
        return dict(json.loads((self.challenger / "selection.json").read_text()))

    def document(self) -> dict[str, Any]:
        """The document of the challenger's version."""
        return dict(json.loads((self.challenger / "document.json").read_text()))


def build_case(use_case: UseCase, folders: Folders, version: Version, registry: Registry) -> Case:
    """The case of a challenger against what is live now."""
    ingested = Ingested.read(folders.history)
    rows = read_rows(folders.sealed)
    schema = FeatureSchema.from_document(json.loads((folders.challenger / "version" / SCHEMA).read_text()))
    model = (folders.challenger / "version" / "model.onnx").read_bytes()
    service = read_service(use_case)
    manifest = json.loads((folders.sealed / SEAL).read_text())
    return Case(
        use_case=use_case,
        challenger=_contender("challenger", folders.challenger / "version", schema, version),
        ladder=_ladder(use_case, folders, schema),
        champion=_champion(registry, rows, ingested),
        rows=rows,
        seal=Seal.from_manifest(manifest, np.load(folders.sealed / HASHES)),
        events=ingested.events,
        labels=ingested.labels,
        views=[part.windows for part in service.windows if part.windows is not None] if service else [],
        serving=serving_path(use_case, model, schema, ingested.events, ingested.labels),
        openings=registry,
        clock=time.perf_counter,
        seed=use_case.seed,
        joined=[name for part in service.joined for name in part.names] if service else [],
    )


def _contender(name: str, folder: Path, schema: FeatureSchema, version: Version | None = None) -> Contender:
    return Contender.from_graph(
        name,
        (folder / "model.onnx").read_bytes(),
        schema,
        train_rows=np.load(folder / "train_rows.npy"),
        digest=version.digest if version else None,
        threshold=version.document["threshold"] if version else None,
    )


def _ladder(use_case: UseCase, folders: Folders, schema: FeatureSchema) -> list[Contender]:
    selection = folders.selection()
    below = selection["order"][: selection["order"].index(selection["chosen"])]
    rungs = [(name, folders.challenger / "ladder" / name) for name in below]
    return [
        replace(_contender(name, folder, schema), threshold=validation_threshold(use_case, folder))
        for name, folder in rungs
    ]


def _champion(registry: Registry, rows: pl.DataFrame, ingested: Ingested) -> Contender | None:
    live = registry.champion()
    if live is None:
        return None
    read = {name: registry.store.get_blob(digest) for name, digest in live.files.items()}
    schema = FeatureSchema.from_document(json.loads(read[SCHEMA]))
    champion = Contender.from_graph(
        "champion",
        read["model.onnx"],
        schema,
        train_rows=_array(read["train_rows.npy"]),
        digest=live.digest,
        threshold=live.document["threshold"],
    )
    settings = json.loads(read["settings.json"])
    return champion if set(schema.names) <= set(rows.columns) else _with_own_features(champion, settings, ingested)


def _with_own_features(champion: Contender, settings: dict[str, Any], ingested: Ingested) -> Contender:
    """A champion that pins another feature service is judged on that service's features of the same rows."""
    pinned = parse_sections({name: settings[name] for name in ("name", "task", "seed", "data", "features", "serving")})
    score = champion.score

    def on_own_rows(rows: pl.DataFrame) -> np.ndarray:
        asked = rows.select("event_id").join(ingested.events, on="event_id", maintain_order="left")
        return score(feature_rows(pinned, ingested.events, ingested.labels, questions=asked))

    return replace(champion, score=on_own_rows)


def _array(data: bytes) -> np.ndarray:
    from io import BytesIO

    return np.asarray(np.load(BytesIO(data), allow_pickle=False))
