"""The demo's world: half a year that is known today, and the weeks after it, in which prices rise."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from sluice.simulate import PriceRise, World, simulate, write_parts

DAY = timedelta(days=1)
SIMULATED = 235
"""Days that the world has, played or not: what is drawn for the first ones depends on their number."""
KNOWN = 183
"""Days that the source holds before the weeks are played: up to `data.end`, and the day after it."""
LATE = 8 * DAY
"""How late labels come, at most."""
HISTORY = 40 * DAY
"""How far back state is built from: the longest window is 30 days."""


@dataclass(frozen=True)
class Story:
    """What is played: `days` after today, prices `factor` times as high from day `rises` on.

    Attributes:
        share: of the transactions that the endpoint is asked about, drawn at random.
        rows: of one request, at most.
        cards, terminals: of the world.
    """

    days: int = 53
    rises: int = 4
    factor: float = 2.0
    share: float = 0.04
    rows: int = 100
    cards: int = 5000
    terminals: int = 10_000

    def world(self) -> World:
        """The whole of it."""
        change = PriceRise(day=KNOWN - 1 + self.rises, factor=self.factor)
        return World(days=SIMULATED, cards=self.cards, terminals=self.terminals, changes=(change,))

    @property
    def today(self) -> datetime:
        """The first played instant."""
        return self.world().start + (KNOWN - 1) * DAY

    @property
    def end(self) -> datetime:
        """The first instant that is not played."""
        return self.today + self.days * DAY

    @property
    def changed(self) -> datetime:
        """When prices rise."""
        return self.today + self.rises * DAY

    @property
    def weeks(self) -> str:
        """How long it is, in words."""
        return f"{self.days} days"


def to_come(data: Path) -> Path:
    """Where the days lie that are not in the source yet."""
    return data.with_name(f"{data.name}-to-come")


def write_world(story: Story, seed: int, data: Path) -> None:
    """Write what is known into `data`, and what is to come beside it; neither is seen before it is whole."""
    transactions, _ = simulate(story.world(), seed)
    known = pl.col("time") < story.today + DAY
    later = pl.col("time").is_between(story.today - HISTORY - LATE, story.end, closed="left")
    for place, part in ((to_come(data), transactions.filter(later)), (data, transactions.filter(known))):
        half = place.with_name(f".{place.name}.part")
        write_parts(part, half)
        shutil.rmtree(place, ignore_errors=True)
        half.rename(place)
