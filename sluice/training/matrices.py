"""Labelled rows as the matrices and the measure that every kind of candidate learns from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from sluice import digests
from sluice.errors import TrainingError
from sluice.evaluation.context import context_of
from sluice.evaluation.metrics import metric
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER
from sluice.steps import Progress
from sluice.training.group import ALONE, Group
from sluice.training.memory import Ask
from sluice.training.problem import Problem


def problem_of(
    use_case: UseCase,
    schema: FeatureSchema,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    *,
    progress: Progress,
    ask: Ask | None,
    group: Group = ALONE,
) -> Problem:
    """The learning task of labelled rows.

    Raises:
        TrainingError: a side has no rows.
        FeatureError: a feature of the schema is not among the rows.
    """
    for name, rows in (("train", train), ("validation", validation)):
        if rows.is_empty():
            raise TrainingError(f"there are no {name} rows", "widen the split, or look at what it left out")
    training = use_case.training
    return Problem(
        task=use_case.task,
        classes={"binary": 2, "regression": 0}.get(use_case.task, len(use_case.data.labels.classes)),
        schema=schema,
        x=to_matrix(schema, train),
        y=_labels(train),
        x_validation=to_matrix(schema, validation),
        y_validation=_labels(validation),
        measure=_measure(use_case, train, validation),
        higher=HIGHER_IS_BETTER[use_case.task][training.metric],
        absolute=training.metric in ("mae", "pinball"),
        seed=use_case.seed,
        threads=training.threads,
        device=training.device,
        memory=training.memory,
        opset=use_case.export.opset,
        progress=progress,
        ask=ask,
        group=group,
    )


def problem_digest(problem: Problem) -> str:
    """SHA-256 of everything in a problem that a training's result depends on."""
    arrays = (problem.x, problem.y, problem.x_validation, problem.y_validation)
    document: dict[str, Any] = {
        "data": [[list(a.shape), digests.of_bytes(np.ascontiguousarray(a).tobytes())] for a in arrays],
        "schema": problem.schema.document(),
        "task": [problem.task, problem.classes, problem.absolute, problem.higher],
        "how": [problem.seed, problem.threads, problem.device, problem.opset],
        "memory": problem.memory.model_dump(mode="json"),
    }
    if problem.group.size > 1:
        # The order of sums is another one.
        document["how"] = [*document["how"], problem.group.size]
    return digests.of_json(document)


def _labels(rows: pl.DataFrame) -> np.ndarray:
    return rows.get_column("label").cast(pl.Float64).to_numpy()


def _measure(use_case: UseCase, train: pl.DataFrame, validation: pl.DataFrame) -> Callable[[np.ndarray], float]:
    name, task, label = use_case.training.metric, use_case.task, _labels(validation)
    # An entity whose fraud was known from the train rows is out of card precision, as it would be in use.
    known = [part.select("label", "label_time", *use_case.data.columns.entities) for part in (train, validation)]
    context = context_of(use_case, validation, labels=pl.concat(known))

    def measure(score: np.ndarray) -> float:
        if not np.isfinite(score).all():
            raise TrainingError("the model's scores are no finite numbers: it diverged", "lower its learning rate")
        value = metric(name, task, label, score, context=context)
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is undefined on the {len(label)} validation rows", "they need every class: widen the split"
            )
        return value

    return measure
