"""A small simulated world with its windows, and graphs trained on it: what the gate's tests judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from sluice.features.request import EVENT_TIME, request_features
from sluice.features.schema import FeatureSchema, fit_schema, to_matrix
from sluice.gate.recompute import recompute
from sluice.settings import UseCase, read_use_case
from sluice.simulate import World, simulate
from sluice.splits.hashes import row_hashes
from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.stream import entries_of, questions_of
from sluice.windows.sweep import sweep

FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"
HOUR, DAY = 3_600_000_000, 86_400_000_000
VIEWS = (
    WindowView(
        "card",
        "card",
        "events",
        1,
        tuple(Aggregation(f"card_count_{d}d", "event_id", "count", d * DAY) for d in (1, 7))
        + tuple(Aggregation(f"card_amount_mean_{d}d", "amount", "mean", d * DAY) for d in (7, 30)),
    ),
    WindowView(
        "terminal_risk",
        "terminal",
        "labels",
        HOUR,
        tuple(Aggregation(f"terminal_risk_{d}d", "label", "mean", d * DAY) for d in (1, 7)),
    ),
)


def use_case(**overlays: object) -> UseCase:
    """The fraud use case with settings laid over, dots in their paths written as double underscores."""
    found: UseCase = read_use_case(FRAUD)
    for path, value in overlays.items():
        found = _laid(found, path.split("__"), value)
    return found


def _laid(section: Any, parts: list[str], value: object) -> Any:
    inner = value if len(parts) == 1 else _laid(getattr(section, parts[0]), parts[1:], value)
    return section.model_copy(update={parts[0]: inner})


@dataclass(frozen=True)
class Small:
    """Streams, feature rows with labels in order of time, and where training ends."""

    use_case: UseCase
    events: pl.DataFrame
    labels: pl.DataFrame
    train: pl.DataFrame
    sealed: pl.DataFrame
    schema: FeatureSchema

    @property
    def train_rows(self) -> np.ndarray:
        return row_hashes(self.train["event_id"].to_list())


def small_world(seed: int, policy: UseCase, *, sealed: int = 5000) -> Small:
    """About 30,000 transactions of 250 cards at 500 terminals with a twentieth fraud; the last ones are sealed."""
    world = World(days=60, cards=250, terminals=500, terminal_rate=0.002, card_rate=0.002)
    raw, _ = simulate(world, seed)
    events = raw.select(
        pl.col("transaction_id").cast(pl.String).str.zfill(8).alias("event_id"),
        event_time="time",
        arrival="time",
        card=pl.col("card_id").cast(pl.String),
        terminal=pl.col("terminal_id").cast(pl.String),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
        label=pl.col("fraud").cast(pl.Float64),
        label_time="fraud_known_at",
    ).sort("event_time", "event_id")
    labels = events.select("event_id", "label", "label_time", "event_time", "card", "terminal")
    labels = labels.sort("label_time", "event_id")
    rows = feature_rows(policy, events.drop("label", "label_time"), labels)
    rows = rows.with_columns(events["label"], events["label_time"])
    test = rows.tail(sealed)
    before = test["event_time"].min() - timedelta(days=7)  # type: ignore[operator]
    train = rows.filter(pl.col("event_time") < before)
    schema = fit_schema(train, [n for n in rows.columns if n not in _KEYS], {}, {})
    return Small(policy, events.drop("label", "label_time"), labels, train, test, schema)


_KEYS = {"event_id", "event_time", "arrival", "card", "terminal", "label", "label_time"}


def feature_rows(policy: UseCase, events: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Rows through the sweep and the request features: the fast way that the gate's slow one is held against."""
    rows = events.select("event_id", "event_time", "arrival", "card", "terminal")
    for view in VIEWS:
        rows = rows.hstack(sweep(view, entries_of(view, events, labels), questions_of(view, events)))
    columns = {EVENT_TIME: events["event_time"].cast(pl.Int64).to_numpy(), "amount": events["amount"].to_numpy()}
    windows = [a.name for view in VIEWS for a in view.aggregations]
    columns |= {name: rows[name].cast(pl.Float64).to_numpy() for name in windows}
    made = request_features(policy.features.request, columns)
    return rows.with_columns(pl.Series(name, values) for name, values in made.items())


def linear_graph(weights: np.ndarray, bias: float, mean: np.ndarray, deviation: np.ndarray) -> bytes:
    """Impute with the mean, scale, log odds, sigmoid: one graph with its preprocessing inside."""
    make, tensor = helper.make_node, numpy_helper.from_array
    nodes = [
        make("IsNaN", ["features"], ["missing"]),
        make("Where", ["missing", "mean", "features"], ["known"]),
        make("Sub", ["known", "mean"], ["centred"]),
        make("Div", ["centred", "deviation"], ["scaled"]),
        make("Mul", ["scaled", "weights"], ["parts"]),
        make("ReduceSum", ["parts", "axis"], ["sum"], keepdims=0),
        make("Add", ["sum", "bias"], ["logit"]),
        make("Sigmoid", ["logit"], ["scores"]),
    ]
    constants = {"mean": mean, "deviation": deviation, "weights": weights, "bias": np.array([bias])}
    initial = [tensor(np.asarray(v, dtype=np.float32), name) for name, v in constants.items()]
    initial.append(tensor(np.array([1], dtype=np.int64), "axis"))
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "linear", [features], [scores], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def trained_graph(small: Small, columns: list[str] | None = None) -> bytes:
    """A logistic regression on some of the features (default: all) as one graph."""
    matrix = to_matrix(small.schema, small.train).astype(np.float64)
    mean = np.nanmean(matrix, 0)
    deviation = np.nanstd(matrix, 0) + 1e-9
    scaled = (np.where(np.isnan(matrix), mean, matrix) - mean) / deviation
    kept = np.array([columns is None or name in columns for name in small.schema.names], dtype=np.float64)
    fitted = LogisticRegression(max_iter=500).fit(scaled * kept, small.train["label"].to_numpy())
    return linear_graph(fitted.coef_[0] * kept, float(fitted.intercept_[0]), mean, deviation)


def constant_graph(small: Small) -> bytes:
    """The base rate of training for every row."""
    rate = float(small.train["label"].mean())  # type: ignore[arg-type]
    width = len(small.schema.names)
    return linear_graph(np.zeros(width), float(np.log(rate / (1 - rate))), np.zeros(width), np.ones(width))


def looked_up(small: Small, events: pl.DataFrame, labels: pl.DataFrame) -> Callable[[pl.DataFrame], np.ndarray]:
    """A look-up whose state has seen `events` and `labels`, and each request besides."""

    def matrix_of(asked: pl.DataFrame) -> np.ndarray:
        seen = pl.concat([events, asked.select(events.columns)]).unique("event_id", maintain_order=True)
        rows = recompute(small.use_case, VIEWS, seen, labels, asked["event_id"].to_list())
        return to_matrix(small.schema, rows)

    return matrix_of
