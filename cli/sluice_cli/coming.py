"""What the demo's weeks bring: the days that are in no source yet, and the source that grows by them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from sluice.ingest import ingest
from sluice.settings import UseCase
from sluice.simulate import district
from sluice_cli.demo_world import DAY, Story, to_come


@dataclass(frozen=True)
class Coming:
    """What is to come, as ingest will map it: events, and all labels that arrive.

    Attributes:
        raw: the same events as the source has them.
        events, labels: those that concern what the endpoint is asked about: its cards, and the terminals they go to.
        asked: ids of the events that it is asked about.
        cards, terminals: how many of each these are.
    """

    raw: pl.DataFrame
    events: pl.DataFrame
    labels: pl.DataFrame
    asked: frozenset[str]
    cards: int
    terminals: int

    def day(self, start: datetime) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Raw rows, events, and labels that arrive, of the day from an instant on."""
        raw, events = (
            part.filter(_within(name, start)) for part, name in ((self.raw, "time"), (self.events, "event_time"))
        )
        return raw, events, self.labels.filter(_within("label_time", start))


def read_coming(story: Story, settings: UseCase, data: Path, world: int) -> Coming:
    """What comes after what lies in `data`.

    Args:
        world: the seed that it was simulated with.

    Raises:
        DataError: it cannot be read.
    """
    later = to_come(data)
    whole = settings.data.model_copy(update={"source": str(later), "start": None})
    found = ingest(settings.model_copy(update={"data": whole}), now=datetime.now(UTC))
    cards = [str(card) for card in district(story.world(), world, story.share)]
    own = pl.col("card").is_in(cards)
    shops = found.events.filter(own).get_column("terminal").unique()
    near = own | pl.col("terminal").is_in(shops.implode())
    events = found.events.filter((pl.col("event_time") >= story.today) & near)
    asked = events.filter(own).get_column("event_id")
    raw = _parts(later).filter(pl.col("time") >= story.today)
    return Coming(raw, events, found.labels.filter(near), frozenset(asked), len(cards), len(shops))


def begin_source(story: Story, data: Path, source: Path) -> None:
    """The source as it is known today; one that is there is left."""
    if not source.exists():
        half = source.with_name(f".{source.name}.part")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        for path in sorted(data.glob("part-*.parquet")):
            part = pl.read_parquet(path)
            known = part.filter(pl.col("time") < story.today)
            if known.height == part.height:
                shutil.copyfile(path, half / path.name)
            elif known.height:
                _write(known, half / path.name)
        half.rename(source)


def grow(source: Path, raw: pl.DataFrame, day: datetime) -> None:
    """A day's file more in the source, seen by nobody before it is whole."""
    half = source.with_name(f".{source.name}.day")
    _write(raw, half)
    half.rename(source / f"part-{day:%Y-%m-%d}.parquet")


def _write(raw: pl.DataFrame, path: Path) -> None:
    """One file of a source."""
    raw.write_parquet(path, compression="zstd", compression_level=1)


def _parts(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))])


def _within(column: str, start: datetime) -> pl.Expr:
    return (pl.col(column) >= start) & (pl.col(column) < start + DAY)
