"""A version whose score listens to the amount above all, and what explains it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from serving_world import Deployed, WorldTables, deploy

from sluice.export.writer import GraphWriter
from sluice.features.historical import feature_names
from sluice.registry.keys import Keys
from sluice.registry.servable import Servable, load_servable
from sluice.settings.explanations import Explanations
from sluice.watch.explanations import write_explainer
from sluice.watch.reference import REFERENCE

ROOT = Path(__file__).parents[2]
AMOUNT = 2.0
"""The weight of the amount, in standard deviations; all others together have less."""


def amount_version(world: WorldTables, folder: Path) -> Deployed:
    """A linear model over scaled features in which the amount weighs most."""
    names = feature_names(world.use_case, root=ROOT)
    values = world.rows.select(names).fill_null(0).to_numpy().astype(np.float64)
    weights = np.random.default_rng(1).normal(0, 0.2, (len(names), 1))
    weights[names.index("amount")] = AMOUNT
    writer = GraphWriter(len(names), opset=17)
    scaled = writer.scale(writer.input, values.mean(axis=0), 1 / np.maximum(values.std(axis=0), 1e-3))
    graph = writer.finish(writer.link(writer.affine(scaled, weights, np.zeros(1)), "binary"), 0)
    folder.mkdir()
    reference(world).write_parquet(folder / REFERENCE)
    return deploy(world.use_case, folder, graph=graph, evidence={REFERENCE: folder / REFERENCE})


def reference(world: WorldTables) -> pl.DataFrame:
    """The rows that explanations compare with, the day's, as a version's reference has them."""
    return world.rows.with_columns(held_out=False, score=0.0)


def servable_of(version: Deployed) -> Servable:
    """What a server would load."""
    return load_servable(version.folder, version.digest, Keys.open(version.keys))


def background(world: WorldTables) -> np.ndarray:
    """float32 [n x features]: the rows that explanations compare with."""
    names = feature_names(world.use_case, root=ROOT)
    return world.rows.select(names).fill_null(0).to_numpy().astype(np.float32)


def folder_for(world: WorldTables, version: Deployed, settings: Explanations, folder: Path) -> Path:
    """What the explainer of a version reads; its train rows are the day's."""
    return write_explainer(servable_of(version), reference(world), settings, folder)


def decisions(version: Deployed, matrix: np.ndarray) -> np.ndarray:
    """bool [n]: whether the rows are alerts."""
    return version.graph.score(np.ascontiguousarray(matrix, dtype=np.float32)) >= 0.5
