"""A world in which requests arrive while the rollout sleeps, split by its weights and answered as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sluice.errors import RequestError
from sluice.registry import Registry
from sluice.rollout import Losses, Shadow
from sluice.rollout.counts import EDGES, Counts
from sluice.rollout.traffic import in_tenths, refuse_strangers
from sluice.settings.operation import Storage
from sluice.storage import open_store


@dataclass(frozen=True)
class Behaviour:
    """How a version answers: share of failures, median seconds, by how much its score levels have moved, mean loss."""

    failing: float = 0.001
    seconds: float = 0.0012
    moved: float = 0.0
    loss: float = 0.006


@dataclass
class World:
    """Clock, traffic and observer in one. `drift` moves the scores of every version, a level a second."""

    behaviours: Mapping[str, Behaviour]
    seed: int = 0
    rate: float = 100.0
    drift: float = 0.0
    label_delay: float = 60.0
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    prepared: set[str] = field(default_factory=set)
    split: dict[str, float] = field(default_factory=dict)
    copied: Shadow | None = None
    sent: dict[str, int] = field(default_factory=dict)
    unready: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._counts = {version: Counts(within=(0,) * len(EDGES), levels=(0,) * 9) for version in self.behaviours}
        self._seconds = 0.0
        self._answered: list[tuple[datetime, str, int, int]] = []

    @property
    def endpoint(self) -> str:
        """Nobody calls it."""
        return "http://simulated"

    def clock(self) -> datetime:
        """The time of this world."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Time goes by and requests arrive."""
        self.now += timedelta(seconds=seconds)
        self._seconds += seconds
        versions = [version for version, weight in self.split.items() if weight]
        shares = [self.split[version] / 100 for version in versions]
        arrived = self._random.multinomial(self._random.poisson(self.rate * seconds), shares)
        for version, count in zip(versions, arrived.tolist(), strict=True):
            self.sent[version] = self.sent.get(version, 0) + count
            self._answer(version, count)
        if self.copied is not None:
            self._answer(self.copied.version, int(self._random.binomial(sum(arrived), self.copied.percent / 100)))

    def counts(self, version: str) -> Counts:
        """What a version's server counts."""
        if version in self.unseen:
            raise RequestError(f"no server of {version} shows its metrics")
        return self._counts[version]

    def prepare(self, version: str) -> None:
        """Ready at once, unless told otherwise."""
        if version in self.unready:
            raise RequestError("the model server ended with exit code 3")
        self.prepared.add(version)

    def losses(
        self, champion: str, challenger: str, spans: Sequence[tuple[datetime, datetime]]
    ) -> list[tuple[Losses, Losses]]:
        """Labels come `label_delay` seconds after the answers; losses are 0 or 1."""
        arrived = self.now - timedelta(seconds=self.label_delay)

        def of(version: str, start: datetime, end: datetime) -> Losses:
            until = min(end, arrived)
            mine = [(n, lost) for time, who, n, lost in self._answered if who == version and start < time <= until]
            return Losses(sum(n for n, _ in mine), sum(lost for _, lost in mine))

        return [(of(champion, *span), of(challenger, *span)) for span in spans]

    def weights(self) -> dict[str, float]:
        """Percent by version, prepared ones with 0 included."""
        return {version: self.split.get(version, 0) for version in self.prepared}

    def set_weights(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        """As a real one: only prepared versions, percents that make 100."""
        refuse_strangers(weights, shadow, dict.fromkeys(self.prepared))
        in_tenths(weights)
        self.split, self.copied = dict(weights), shadow

    def retire(self, version: str) -> None:
        """As a real one: nothing with weight."""
        assert not self.split.get(version)
        self.prepared.discard(version)

    def _answer(self, version: str, count: int) -> None:
        does, before, draw = self.behaviours[version], self._counts[version], self._random
        seconds = draw.lognormal(np.log(does.seconds), 0.4, count)
        levels = np.clip(draw.random(count) ** (1 + self.drift * self._seconds) + does.moved, 0, 1)
        errors = int(draw.binomial(count, does.failing))
        self._counts[version] = Counts(
            requests=before.requests + count,
            errors=before.errors + errors,
            within=_more(before.within, [int((seconds <= edge).sum()) for edge in EDGES]),
            scored=before.scored + count,
            levels=_more(before.levels, [int((levels <= k / 10).sum()) for k in range(1, 10)]),
        )
        self._answered.append((self.now, version, count, int(draw.binomial(count, does.loss))))


def _more(before: tuple[int, ...], new: list[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(before, new, strict=True))


def registry_in(folder: Path, world: World) -> tuple[Registry, str, str]:
    """A registry with a champion and a cleared challenger; the digests of both."""
    store = open_store(Storage(url=str(folder / "store")))
    registry = Registry(store, "fraud", clock=world.clock, actor="tester")
    digests = []
    for name in ("champion", "challenger"):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.onnx").write_text(name)
        digests.append(registry.add_version(place, {"settings": name}).digest)
    champion, challenger = digests
    registry.settle("promoted", version=champion, against=None)
    registry.settle("cleared", version=challenger, against=champion)
    return registry, champion, challenger
