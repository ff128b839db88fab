"""What the demo's weeks bring: the days that are in no source yet, and the source that grows by them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from sluice.features.touching import anybody, blanked, last_asked, touching
from sluice.ingest import ingest
from sluice.settings import UseCase
from sluice_cli.demo_world import DAY, HISTORY, Story, to_come


@dataclass(frozen=True)
class Day:
    """One day to come.

    Attributes:
        raw: its events as the source has them.
        events: those that are asked about, and those that they can see: of the same cards, at the same terminals.
        applied: the same, but null where no question of the day can see it any more: that state is built anew when
            somebody asks.
        labels: labels of these cards and terminals that arrive while somebody may ask.
        asked: ids of the events that the endpoint is asked about.
        before: events and labels of these cards and terminals until midnight, as far back as a window reaches.
    """

    raw: pl.DataFrame
    events: pl.DataFrame
    applied: pl.DataFrame
    labels: pl.DataFrame
    asked: frozenset[str]
    before: tuple[pl.DataFrame, pl.DataFrame]


@dataclass(frozen=True)
class Coming:
    """What is to come, as the source has it and as ingest maps it, and `HISTORY` before.

    Attributes:
        asked: ids of the events that the endpoint is asked about: some of all, drawn at random.
        entities: their columns.
    """

    raw: pl.DataFrame
    events: pl.DataFrame
    labels: pl.DataFrame
    asked: pl.Series
    entities: tuple[str, ...]

    def day(self, start: datetime) -> Day:
        """The day from an instant on."""
        events = self.events.filter(_within("event_time", start))
        own = events.filter(pl.col("event_id").is_in(self.asked.implode()))
        last = last_asked(own, self.entities, "event_time")
        earlier = pl.col("event_time").is_between(start - HISTORY, start, closed="left")
        told = pl.col("label_time").is_between(start - HISTORY, start, closed="left")
        asked = frozenset(own.get_column("event_id"))
        applied = blanked(events, last, "event_time", pl.Expr.lt)
        needed = pl.col("event_id").is_in(list(asked)) | anybody(self.entities)
        kept = applied.select(needed).to_series()
        return Day(
            self.raw.filter(_within("time", start)),
            events.filter(kept),
            applied.filter(kept),
            touching(self.labels.filter(_within("label_time", start)), last, "label_time"),
            asked,
            (
                touching(self.events.filter(earlier), last, "event_time"),
                touching(self.labels.filter(told), last, "label_time"),
            ),
        )


def read_coming(story: Story, settings: UseCase, data: Path, seed: int) -> Coming:
    """What comes after what lies in `data`.

    Args:
        seed: of the draw of the events that are asked about.

    Raises:
        DataError: it cannot be read.
    """
    later = to_come(data)
    whole = settings.data.model_copy(update={"source": str(later), "start": None})
    found = ingest(settings.model_copy(update={"data": whole}), now=datetime.now(UTC))
    asked = found.events.filter(pl.col("event_time") >= story.today).sample(fraction=story.share, seed=seed)
    raw = _parts(later).filter(pl.col("time") >= story.today)
    entities = tuple(settings.data.columns.entities)
    return Coming(raw, found.events, found.labels, asked.get_column("event_id"), entities)


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
