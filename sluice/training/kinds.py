"""Which function trains which kind. A kind's libraries are loaded only when it is trained."""

from __future__ import annotations

from typing import Any

from sluice.training.parameters import (
    ForestParams,
    LinearParams,
    LogisticParams,
    NetworkParams,
    Params,
    TreesParams,
)
from sluice.training.problem import Fit, Problem


def fit_kind(problem: Problem, params: Params | dict[str, Any], import_path: str | None) -> Fit:
    """Train one model of the kind that the parameters belong to.

    Args:
        import_path: package.module:Class of an own model, whose parameters are a plain mapping.

    Raises:
        TrainingError: it cannot be trained on these rows.
    """
    match params:
        case dict():
            from sluice.training.own import fit_own

            return fit_own(problem, params, import_path or "")
        case LogisticParams():
            from sluice.training.linear import fit_logistic

            return fit_logistic(problem, params)
        case LinearParams():
            from sluice.training.linear import fit_linear

            return fit_linear(problem, params)
        case ForestParams():
            from sluice.training.forest import fit_forest

            return fit_forest(problem, params)
        case TreesParams():
            from sluice.training.trees import fit_trees

            return fit_trees(problem, params)
        case NetworkParams():
            from sluice.training.network_fit import fit_network

            return fit_network(problem, params)
    from sluice.training.constant import fit_constant

    return fit_constant(problem)
