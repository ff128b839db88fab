"""Labels that have arrived for a rollout's answers: mean losses of both versions, step by step of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from sluice.errors import SluiceError
from sluice.registry import Decision, Registry
from sluice.rollout.steps import Step, reached
from sluice.settings.rollout import Rollout

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Losses:
    """Labelled answers of a version: how many, and the sum of their losses, each between 0 and 1."""

    rows: int = 0
    total: float = 0.0


class Labelled(Protocol):
    """Where labelled answers come from: the payload ledger and the labels' source, or a simulation in tests."""

    def losses(self, champion: str, challenger: str, spans: Sequence[Span]) -> list[tuple[Losses, Losses]]:
        """For each span the champion's and the challenger's losses on what they answered in it (its end not included)
        and whose label is there by now; both on one scale. Nothing labelled is no rows.

        Raises:
            SluiceError: answers or labels cannot be read.
        """


@dataclass(frozen=True)
class Compared:
    """Both versions' losses on what they answered in one step."""

    step: Step
    ours: Losses
    theirs: Losses


class Arrivals:
    """What has come so far, read anew every `labels.every`; `trouble` says why it could not be read, and is else empty.

    A source that cannot be read is no evidence: the rollout goes on by what it can see.

    Args:
        source: None where labels are not watched.
    """

    def __init__(
        self,
        source: Labelled | None,
        registry: Registry,
        steps: Sequence[Step],
        policy: Rollout,
        clock: Callable[[], datetime],
    ) -> None:
        self._source, self._registry, self._steps, self._clock = source, registry, steps, clock
        self._every, self._read, self._challenger = policy.labels.every, datetime.min.replace(tzinfo=UTC), ""
        self._last: list[Compared] = []
        self.trouble = ""

    def compared(self, champion: str, challenger: str) -> list[Compared]:
        """Both versions' losses in each step so far for which any label has come."""
        now = self._clock()
        if self._source is None or (challenger == self._challenger and now - self._read < self._every):
            return self._last
        if challenger != self._challenger:
            self._challenger, self._last = challenger, []
        self._read = now
        spans = spans_of(self._registry.log(), challenger, self._steps, now)
        try:
            self._last, self.trouble = _compared(self._source, spans, champion, challenger), ""
        except SluiceError as error:
            self.trouble = error.message
        return self._last


def _compared(source: Labelled, spans: Sequence[tuple[Step, Span]], champion: str, challenger: str) -> list[Compared]:
    found = source.losses(champion, challenger, [span for _, span in spans])
    pairs = zip(spans, found, strict=True)
    return [Compared(step, ours, theirs) for (step, _), (theirs, ours) in pairs if ours.rows and theirs.rows]


def spans_of(log: Sequence[Decision], challenger: str, steps: Sequence[Step], now: datetime) -> list[tuple[Step, Span]]:
    """From when to when each step of the rollout that is under way lasted, as the log says; the last one until now.

    Within a step the weights stand still, also over a kill and a restart: it is one span, and one test.
    """
    begun: dict[int, datetime] = {}
    for entry in reversed(log):
        if entry.version == challenger and entry.kind in _BEFORE:
            break
        if entry.version == challenger and entry.kind == "canary" and not entry.figures.get("prepared"):
            begun[reached(steps, entry.figures)] = entry.time
    order = sorted(begun)
    ends = [begun[number] for number in order[1:]] + [now]
    return [(steps[number], (begun[number], end)) for number, end in zip(order, ends, strict=True)]


_BEFORE = ("cleared", "approved", "taken-back", "promoted")
