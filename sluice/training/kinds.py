"""Which function trains which kind. A kind's libraries are loaded only when it is trained."""

from __future__ import annotations

from typing import Any

from sluice.training.parameters import (
    LinearParams,
    LogisticParams,
    NetworkParams,
    Params,
    TreesParams,
)
from sluice.training.problem import Fit, Problem


def fit_kind(problem: Problem, params: Params | dict[str, Any], import_path: str | None) -> Fit:
    """Train one model of the kind that the parameters belong to.

    Raises:
        TrainingError: it cannot be trained on these rows.
    """
    if isinstance(params, LogisticParams | LinearParams):
        from sluice.training import linear

        if isinstance(params, LogisticParams):
            return linear.fit_logistic(problem, params)
        return linear.fit_linear(problem, params)
    if isinstance(params, TreesParams):
        from sluice.training.trees import fit_trees

        return fit_trees(problem, params)
    if isinstance(params, NetworkParams):
        from sluice.training.network_fit import fit_network

        return fit_network(problem, params)
    from sluice.training.constant import fit_constant

    return fit_constant(problem)
