"""The steps of a rollout: a copy of the requests first, where the settings ask for it, then part of the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.rollout.traffic import Shadow
from sluice.settings.rollout import Rollout


@dataclass(frozen=True)
class Step:
    """Percent of the traffic that the challenger gets, or (`percent` is 0) of the requests that it gets a copy of;
    `wanted` requests before it may end."""

    percent: float
    copied: int = 0
    wanted: int = 1

    def words(self) -> str:
        """The step for a person, and for the log."""
        return f"a copy of {self.copied} % of the requests" if self.copied else f"{self.percent:g} % of the traffic"

    def weights(self, challenger: str, champion: str) -> dict[str, float]:
        """Percent by version."""
        return {champion: round(100 - self.percent, 1), challenger: self.percent}

    def shadow(self, challenger: str) -> Shadow | None:
        """Who gets copies."""
        return Shadow(challenger, self.copied) if self.copied else None

    def figures(self, number: int) -> dict[str, Any]:
        """What the log keeps of it."""
        return {"step": number, "percent": self.percent, **({"copied": self.copied} if self.copied else {})}


def steps_of(policy: Rollout) -> list[Step]:
    """All steps of a rollout, in their order."""
    shadow = [Step(0.0, policy.shadow, policy.shadow_requests)] if policy.shadow else []
    return shadow + [Step(percent, wanted=policy.min_requests) for percent in policy.steps]


def reached(steps: Sequence[Step], figures: Mapping[str, Any]) -> int:
    """The step at which a rollout goes on whose log is at these figures; the settings may be others by now."""
    percent = float(figures["percent"])
    return next((number for number, step in enumerate(steps) if step.percent >= percent), len(steps) - 1)
