"""Gradient-boosted trees (XGBoost), trained on exactly the float32 values that the graph receives."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xgboost as xgb

from sluice.export.trees import TreeArrays, only_target, write_trees
from sluice.export.writer import GraphWriter
from sluice.training.parameters import TreesParams
from sluice.training.problem import Fit, Problem

_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
_LOSSES = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}


class Place(NamedTuple):
    """Where trees grow: the device as XGBoost names it, its own name, and the plan as candidate.json tells it."""

    device: str
    name: str
    plan: dict[str, Any] | None


@dataclass(frozen=True)
class TreesModel:
    """A booster cut at its best round."""

    task: str
    classes: int
    booster: xgb.Booster
    features: int
    opset: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """[n] probability or value, [n, k] for k classes."""
        scores: np.ndarray = self.booster.inplace_predict(x)
        return scores

    def to_onnx(self) -> bytes:
        """One tree operator and the link."""
        learner = json.loads(bytes(self.booster.save_raw("json")))["learner"]
        targets = self.classes if self.task == "multiclass" else 1
        stored = learner["gradient_booster"]["model"]
        trees = [
            only_target(_arrays(tree), target, targets) if targets > 1 else _arrays(tree)
            for tree, target in zip(stored["trees"], stored["tree_info"], strict=True)
        ]
        base = np.broadcast_to(json.loads(learner["learner_model_param"]["base_score"]), targets).astype(np.float64)
        if self.task == "binary":
            base = np.log(base / (1 - base))
        graph = GraphWriter(self.features, self.opset)
        margin = write_trees(graph, trees, "BRANCH_LT", base)
        return graph.finish(graph.link(margin, self.task), self.classes if self.task == "multiclass" else 0)


def fit_trees(problem: Problem, params: TreesParams) -> Fit:
    """Boost until the validation metric has not improved for `early_stopping_rounds`, and keep the best rounds.

    Raises:
        MemoryPlanError: `device: cuda`, and they might not fit the card.
        TrainingError: `device: cuda` without such a card, or one that is not free.
    """
    train = xgb.DMatrix(problem.x, problem.y)
    validation = xgb.DMatrix(problem.x_validation, problem.y_validation)
    watch = _Watch(problem, params, validation)
    curves: dict[str, dict[str, list[float]]] = {}
    with _place(problem, params) as place:
        booster = xgb.train(
            {**_arguments(problem, params), "device": place.device},
            train,
            params.rounds,
            evals=[(train, "train"), (validation, "validation")],
            evals_result=curves,
            verbose_eval=False,
            callbacks=[watch],
        )
    booster.set_param({"device": "cpu"})
    kept = watch.best_round + 1 if params.early_stopping_rounds else booster.num_boosted_rounds()
    model = TreesModel(problem.task, problem.classes, booster[:kept], problem.x.shape[1], problem.opset)
    rounds = booster.num_boosted_rounds()
    (train_loss,), (validation_loss,) = curves["train"].values(), curves["validation"].values()
    drawn = {"train_loss": list(train_loss), "validation_loss": list(validation_loss), "validation": watch.values}
    notes = {"rounds": rounds, "rounds_kept": kept}
    return Fit(model, drawn, notes, rows_seen=rounds * len(problem.y), plan=place.plan, run={"device": place.name})


def _place(problem: Problem, params: TreesParams) -> AbstractContextManager[Place]:
    """The processor unless a card is asked for: trees are quick there, and need no plan."""
    if problem.device != "cuda":
        return nullcontext(Place("cpu", "cpu", None))
    from sluice.training.trees_card import room_on_card

    return room_on_card(problem, params)


class _Watch(xgb.callback.TrainingCallback):
    """Keeps the best round by the selection metric, stops when patience ends, tells progress."""

    def __init__(self, problem: Problem, params: TreesParams, validation: xgb.DMatrix) -> None:
        super().__init__()
        self._problem, self._params, self._validation = problem, params, validation
        self.values: list[float] = []
        self.best_round = 0

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 (XGBoost's signature)
        """Whether to stop. The booster has the scores of its watched tables at hand: this costs the metric alone."""
        value = self._problem.measure(model.predict(self._validation))
        if self._problem.better(value, self.values[self.best_round] if self.values else None):
            self.best_round = epoch
        self.values.append(value)
        self._problem.progress("train", epoch + 1, self._params.rounds, f"validation {value:.4f}")
        patience = self._params.early_stopping_rounds
        return patience is not None and epoch - self.best_round >= patience


def _arguments(problem: Problem, params: TreesParams) -> dict[str, Any]:
    given = params.model_dump(exclude={"rounds", "early_stopping_rounds", "positive_weight", "method", "base_score"})
    arguments = {
        **given,
        "objective": _OBJECTIVES[problem.task],
        "tree_method": params.method,
        "seed": problem.seed,
        "nthread": problem.threads,
        "eval_metric": _LOSSES[problem.task],
    }
    if params.base_score is not None:
        arguments["base_score"] = params.base_score
    if problem.task == "multiclass":
        arguments["num_class"] = problem.classes
    if problem.task == "binary":
        arguments["scale_pos_weight"] = params.positive_weight
    return arguments


def _arrays(tree: dict[str, Any]) -> TreeArrays:
    left = np.asarray(tree["left_children"], dtype=np.int64)
    condition = np.asarray(tree["split_conditions"], dtype=np.float32)
    return TreeArrays(
        left=left,
        right=np.asarray(tree["right_children"], dtype=np.int64),
        feature=np.asarray(tree["split_indices"], dtype=np.int64),
        threshold=condition,
        missing_left=np.asarray(tree["default_left"], dtype=bool),
        value=condition[:, None],
    )
