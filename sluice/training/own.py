"""A model of somebody else's: a class with `fit`, `score` and `to_onnx`, named in the settings."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from sluice.errors import TrainingError
from sluice.training.problem import Fit, Problem

_METHODS = ("fit", "score", "to_onnx")
_GUIDE = "docs/own-model.md has the contract and an example"


@dataclass(frozen=True)
class OwnModel:
    """Their model behind our names; their errors told with the class's name."""

    model: Any
    path: str

    def score(self, x: np.ndarray) -> np.ndarray:
        """What their `score` gives, as an array."""
        with _Told(self.path, "score"):
            return np.asarray(self.model.score(x))

    def to_onnx(self) -> bytes:
        """What their `to_onnx` gives."""
        with _Told(self.path, "to_onnx"):
            graph = self.model.to_onnx()
        if not isinstance(graph, bytes):
            raise TrainingError(f"{self.path}.to_onnx gives {type(graph).__name__}, not bytes", _GUIDE)
        return graph


def fit_own(problem: Problem, params: dict[str, Any], path: str) -> Fit:
    """Make the class with the candidate's parameters and let it learn.

    Raises:
        TrainingError: it cannot be imported, lacks a method, or fails.
    """
    kind = _load(path)
    with _Told(path, "fit"):
        model = kind(params=dict(params), seed=problem.seed, task=problem.task)
        model.fit(problem.x, problem.y, problem.x_validation, problem.y_validation)
    return Fit(OwnModel(model, path), rows_seen=len(problem.y))


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"{path}: there is no module {error.name}", "install its package into this environment"
        ) from None
    except AttributeError:
        raise TrainingError(f"{path}: the module has no {name}", _GUIDE) from None
    missing = [method for method in _METHODS if not callable(getattr(kind, method, None))]
    if missing:
        raise TrainingError(f"{path} lacks {', '.join(missing)}", _GUIDE)
    return kind


class _Told:
    """Says which class and method an error came from; the error itself stays as the cause."""

    def __init__(self, path: str, method: str) -> None:
        self._where = f"{path}.{method}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            raise TrainingError(f"{self._where}: {type(error).__name__}: {error}", _GUIDE) from error
