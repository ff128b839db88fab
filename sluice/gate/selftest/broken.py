"""The broken challengers. Each takes the sound case and gives one that is broken in its data or its artifacts alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sluice import digests
from sluice.evaluation.slices import slices_of
from sluice.export.graph import Graph
from sluice.features.schema import to_matrix
from sluice.gate.case import Case, Contender, ServingPath
from sluice.gate.selftest import surgery
from sluice.gate.selftest.material import Material, MatrixOf, slower

OVERCONFIDENCE = 8.0
NEARLY_THE_SAME = 1.01
SLOWER = 5.0


def served(model: bytes, matrix_of: MatrixOf) -> ServingPath:
    """The serving path that runs a graph on what is looked up."""
    graph = Graph(model)
    return ServingPath(digests.of_bytes(model), lambda asked: graph.score(matrix_of(asked)))


@dataclass(frozen=True)
class Bench:
    """The sound case, what it was made from, and the look-up of its serving path."""

    material: Material
    case: Case
    matrix_of: MatrixOf

    @property
    def model(self) -> bytes:
        """The current challenger's graph."""
        return self.material.current.model

    @property
    def base_rate(self) -> float:
        """Mean label."""
        return float(self.case.rows.select(pl.col("label").mean()).item())

    def matrix(self) -> np.ndarray:
        """What the graph takes: float32 [n, d]."""
        return to_matrix(self.material.current.schema, self.case.rows)

    def with_graph(self, name: str, model: bytes) -> Case:
        """The case with another graph, judged and served."""
        current = self.material.current
        challenger = Contender.from_graph(name, model, current.schema, train_rows=current.train_rows)
        return replace(self.case, challenger=challenger, serving=served(model, self.matrix_of))


def inverted(bench: Bench) -> Case:
    return bench.with_graph("inverted", surgery.inverted(bench.model))


def constant(bench: Bench) -> Case:
    return bench.with_graph("constant", surgery.constant(bench.model, bench.base_rate))


def shuffled(bench: Bench) -> Case:
    return bench.with_graph("shuffled", surgery.shuffled(bench.model))


def overconfident(bench: Bench) -> Case:
    return bench.with_graph("overconfident", surgery.overconfident(bench.model, OVERCONFIDENCE))


def one_slice_broken(bench: Bench) -> Case:
    """The slice with most positives, among those that leave rows outside."""
    column, low, high = _fullest_slice(bench)
    return bench.with_graph(
        "one slice broken", surgery.inverted_between(bench.model, column, low, high, bench.base_rate)
    )


def undefined_scores(bench: Bench) -> Case:
    column = bench.matrix()[:, 0]
    return bench.with_graph(
        "undefined", surgery.undefined_above(bench.model, 0, float(np.nanquantile(column, 0.5)) - 1)
    )


def champions_copy(bench: Bench) -> Case:
    return replace(bench.case, champion=replace(bench.case.challenger, name="the champion"))


def champion_renamed(bench: Bench) -> Case:
    champion = replace(bench.case.challenger, name="the champion")
    return replace(bench.case, champion=champion, challenger=replace(champion, name="copy", digest="0" * 64))


def trained_on_sealed_rows(bench: Bench) -> Case:
    seen = np.union1d(bench.case.challenger.train_rows, bench.case.seal.hashes[::10])
    return replace(bench.case, challenger=replace(bench.case.challenger, train_rows=seen))


def label_leaked(bench: Bench) -> Case:
    """A feature holds the label, and the model relies on it."""
    name = _window_or_number(bench)
    column = bench.material.current.schema.names.index(name)
    case = bench.with_graph("leaking", surgery.trusting(bench.model, column))
    return replace(case, rows=case.rows.with_columns(pl.col("label").cast(pl.Float64).alias(name)))


def one_row_ahead(bench: Bench) -> Case:
    """A window that also sees its entity's next event."""
    name = _window_or_number(bench)
    entities = list(bench.case.use_case.data.columns.entities)
    view = next((v for v in bench.material.views if name in [a.name for a in v.aggregations]), None)
    entity = view.entity if view else next(iter(entities), None)
    rows = bench.case.rows.sort("event_time", "event_id")
    ahead = pl.col(name).shift(-1)
    ahead = ahead.over(entity) if entity else ahead
    return replace(bench.case, rows=rows.with_columns(pl.coalesce(ahead, name).alias(name)))


def scaler_skipped(bench: Bench) -> Case:
    matrix = bench.matrix().astype(np.float64)
    mean, deviation = np.nan_to_num(np.nanmean(matrix, 0)), np.nan_to_num(np.nanstd(matrix, 0))
    return bench.with_graph("unscaled", surgery.unscaled(bench.model, mean, deviation))


def columns_swapped(bench: Bench) -> Case:
    width = len(bench.material.current.schema.columns)
    return bench.with_graph("swapped", surgery.reordered(bench.model, [*range(1, width), 0]))


def stale_state(bench: Bench) -> Case:
    """Serving's state stopped when the sealed rows began."""
    material, first = bench.material, bench.case.rows.get_column("event_time").min()
    past = material.events.filter(pl.col("arrival") < first), material.labels.filter(pl.col("label_time") < first)
    return replace(bench.case, serving=served(bench.model, material.look_up(material.current.schema, *past)))


def another_graph_served(bench: Bench) -> Case:
    other = surgery.overconfident(bench.model, NEARLY_THE_SAME)
    return replace(bench.case, serving=served(other, bench.matrix_of))


def five_times_slower(bench: Bench) -> Case:
    return replace(bench.case, clock=slower(bench.case.clock, SLOWER))


def too_large(bench: Bench) -> Case:
    return bench.with_graph("bloated", surgery.bloated(bench.model, bench.case.use_case.gate.budgets.size))


BROKEN: dict[str, Callable[[Bench], Case]] = {
    "scores inverted": inverted,
    "scores constant": constant,
    "scores shuffled between rows": shuffled,
    "scores far too sure": overconfident,
    "one slice broken": one_slice_broken,
    "scores that are no numbers": undefined_scores,
    "the champion's own copy": champions_copy,
    "the champion's graph, renamed": champion_renamed,
    "trained on sealed rows": trained_on_sealed_rows,
    "label leaked into a feature": label_leaked,
    "a feature that looks one row ahead": one_row_ahead,
    "scaler skipped": scaler_skipped,
    "columns in another order": columns_swapped,
    "stale state": stale_state,
    "another graph is served": another_graph_served,
    "five times slower": five_times_slower,
    "too large": too_large,
}
"""Name of every broken challenger, and how it is made of the sound one."""


def _fullest_slice(bench: Bench) -> tuple[int, float, float]:
    """Column of the matrix and the range that a slice of the settings takes in it; half of the first without slices."""
    names, matrix = bench.material.current.schema.names, bench.matrix()
    label = bench.case.rows.get_column("label").to_numpy()
    parts = [p for p in slices_of(bench.case.use_case, bench.case.rows) if p.column in names and not p.mask.all()]
    if not parts:
        return 0, float(np.nanquantile(matrix[:, 0], 0.5)), float(np.nanmax(matrix[:, 0]))
    fullest = max(parts, key=lambda part: label[part.mask].sum())
    column = names.index(fullest.column)
    inside = matrix[fullest.mask, column]
    return column, float(np.nanmin(inside)), float(np.nanmax(inside))


def _window_or_number(bench: Bench) -> str:
    """The window feature with most distinct values; else the first number."""
    windows = [a.name for view in bench.material.views for a in view.aggregations]
    numbers = [column.name for column in bench.material.current.schema.columns if column.kind == "number"]
    chosen = [name for name in windows if name in numbers] or numbers
    return max(chosen, key=lambda name: bench.case.rows.get_column(name).n_unique())
