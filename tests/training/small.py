"""Small learning tasks, and a use case around them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from sluice.features.schema import FeatureSchema, fit_schema
from sluice.settings import UseCase, parse_use_case
from sluice.steps import silent
from sluice.training.matrices import problem_of
from sluice.training.problem import Problem

START = datetime(2024, 1, 1, tzinfo=UTC)
METRICS = {"binary": "average_precision", "multiclass": "log_loss", "regression": "rmse"}
NETWORK: dict[str, Any] = {
    "width": 16, "blocks": 1, "members": 2, "dropout": 0.1, "bins": 4, "embedding": 3, "learning_rate": 0.01,
    "weight_decay": 1e-4, "averaging": 0.9, "batch_size": 256, "max_epochs": 6, "patience": 3, "log": ["amount"],
    "indicators": True,
}  # fmt: skip
TREES: dict[str, Any] = {"rounds": 60, "learning_rate": 0.2, "max_depth": 3, "early_stopping_rounds": 10}
FITTING: dict[str, dict[str, Any]] = {
    "constant": {},
    "logistic": {"C": 1.0, "log": ["amount"], "indicators": True},
    "linear": {"alpha": 1.0, "log": ["amount"]},
    "forest": {"trees": 15, "max_depth": 6},
    "trees": TREES,
    "network": NETWORK,
}
KINDS_OF = {
    "binary": ["constant", "logistic", "forest", "trees", "network"],
    "multiclass": ["constant", "logistic", "forest", "trees", "network"],
    "regression": ["constant", "linear", "forest", "trees", "network"],
}


def document(task: str, candidates: list[dict[str, Any]], **training: Any) -> dict[str, Any]:
    """A use case over the columns that `rows` makes."""
    metric = METRICS[task]
    classes = {"classes": ["low", "middle", "high"]} if task == "multiclass" else {}
    values = {"amount": {}, "size": {"missing": "keep"}, "rate": {}, "colour": {"type": "category", "missing": "keep"}}
    return {
        "name": "small",
        "task": task,
        "seed": 3,
        "data": {
            "source": "nowhere",
            "columns": {"event_id": "id", "event_time": "time", "values": values, "label": "y"},
            "labels": {"delay": "0s", **classes},
        },
        "features": {"request": [{"kind": "value", "name": name, "column": name} for name in values]},
        "split": {"by": "time", "train": "10d", "validation": "2d", "test": "2d"},
        "training": {
            "metric": metric,
            "candidates": [{"id": "constant", "kind": "constant"}, *candidates],
            "threads": 1,
            **training,
        },
        "gate": {"metric": metric},
    }


def rows(task: str, count: int, seed: int) -> pl.DataFrame:
    """Labelled rows: a long-tailed amount, a number that is sometimes missing, a category, and a label from them."""
    draw = np.random.default_rng(seed)
    amount = np.exp(draw.normal(8, 1, count))
    size = np.where(draw.random(count) < 0.1, np.nan, draw.normal(size=count))
    rate, colour = draw.random(count), draw.choice(["red", "green", "blue"], count)
    signal = 1.5 * (np.log(amount) - 8) * np.nan_to_num(size) + 2 * (colour == "red") + rate
    noisy = signal + draw.logistic(0, 0.5, count)
    label = {
        "binary": noisy > 2,
        "multiclass": np.digitize(noisy, [0.5, 2.0]),
        "regression": 100 + 20 * noisy,
    }[task]
    times = [START + timedelta(minutes=i) for i in range(count)]
    return pl.DataFrame(
        {
            "event_id": [f"{seed}-{i}" for i in range(count)],
            "event_time": times,
            "label_time": times,
            "amount": amount,
            "size": size,
            "rate": rate,
            "colour": colour,
            "label": label.astype(np.float64),
        }
    ).with_columns(pl.col("colour").replace("blue", None))


def schema_of(train: pl.DataFrame) -> FeatureSchema:
    return fit_schema(train, ["amount", "size", "rate", "colour"], {}, {})


def use_case_of(task: str, kind: str, params: dict[str, Any] | None = None, **more: Any) -> UseCase:
    """A use case with one candidate (`it`) beside the constant."""
    training = more.pop("training", {})
    candidate = {"id": "it", "kind": kind, "params": FITTING.get(kind, {}) if params is None else params, **more}
    return parse_use_case(document(task, [candidate], **training))


def small_problem(task: str, use_case: UseCase, count: int = 1500) -> Problem:
    train, validation = rows(task, count, 1), rows(task, 600, 2)
    return problem_of(use_case, schema_of(train), train, validation, progress=silent, ask=None)
