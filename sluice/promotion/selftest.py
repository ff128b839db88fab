"""The gate's self-test on a challenger that a pipeline laid out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np

from sluice.features.repository import read_service
from sluice.features.schema import FeatureSchema
from sluice.gate.selftest import Material, SelfTest, Trained, selftest
from sluice.ingest import Ingested
from sluice.promotion.serving_path import looked_up
from sluice.settings import UseCase
from sluice.splits.files import SCHEMA, read_rows
from sluice.steps import Progress, silent


def selftest_challenger(
    use_case: UseCase, *, challenger: Path, validation: Path, history: Path, progress: Progress = silent
) -> SelfTest:
    """Break the challenger on a seal of its own, cut from the validation rows."""
    ingested, service = Ingested.read(history), read_service(use_case)
    selection = json.loads((challenger / "selection.json").read_text())
    schema = FeatureSchema.from_document(json.loads((challenger / "version" / SCHEMA).read_text()))
    below = selection["order"][: selection["order"].index(selection["chosen"])]
    material = Material(
        use_case=use_case,
        current=_trained("challenger", challenger / "version", schema),
        ladder=[_trained(name, challenger / "ladder" / name, schema) for name in below],
        rows=read_rows(validation),
        events=ingested.events,
        labels=ingested.labels,
        views=[part.windows for part in service.windows if part.windows is not None] if service else [],
        look_up=partial(looked_up, use_case),
        seed=use_case.seed,
        joined=[name for part in service.joined for name in part.names] if service else [],
    )
    return selftest(material, progress=progress)


def _trained(name: str, folder: Path, schema: FeatureSchema) -> Trained:
    return Trained(name, (folder / "model.onnx").read_bytes(), schema, np.load(folder / "train_rows.npy"))
