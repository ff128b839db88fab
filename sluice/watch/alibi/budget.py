"""What an explanation may cost: calls of the predictor, and time."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from time import monotonic

from sluice.errors import RequestError


class BudgetSpentError(RequestError):
    """There is no explanation within the budget. `budget` is `calls` or `seconds`."""

    def __init__(self, budget: str, message: str, hint: str) -> None:
        super().__init__(message, HTTPStatus.SERVICE_UNAVAILABLE, hint)
        self.budget = budget


class Budget:
    """Counts calls and time from now on.

    Args:
        calls, seconds: what there is.
        clock: seconds that only go forward.
    """

    def __init__(self, calls: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._seconds, self._clock = calls, seconds, clock
        self._started, self.calls = clock(), 0

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            BudgetSpentError: none are.
        """
        left = self._seconds - (self._clock() - self._started)
        if left <= 0:
            raise BudgetSpentError(
                "seconds",
                f"the budget of {self._seconds:g} s is spent after {self.calls} calls of the predictor",
                "raise explanations.seconds, or lower what is asked: kernel_shap.samples, anchors.precision",
            )
        return left

    def spend(self) -> float:
        """Count a call; the seconds that it may take.

        Raises:
            BudgetSpentError: it is one too many, or the time is over.
        """
        left = self.left()
        if self.calls >= self._most:
            raise BudgetSpentError(
                "calls",
                f"the budget of {self._most} calls of the predictor is spent",
                "raise explanations.calls, or .batch and serving.max_batch, or explain fewer rows at a time",
            )
        self.calls += 1
        return left
