"""What the demo's weeks are made of, in a small world: the source that grows, the days to come, the diary."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from sluice.ingest import ingest
from sluice.settings import UseCase, read_use_case
from sluice.simulate import district, simulate
from sluice_cli.coming import begin_source, grow, read_coming
from sluice_cli.demo_world import DAY, Story, write_world
from sluice_cli.weeks import Diary

ROOT = Path(__file__).parents[2]
STORY = Story(days=10, cards=60, terminals=40, share=0.2)
SEED = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "raw"
    write_world(STORY, SEED, folder)
    return folder


def settings(source: Path, **overrides: str) -> UseCase:
    overlay = ROOT / "use_cases/overlays/fraud-weeks.yaml"
    places = {"data.source": str(source), "features.repo": str(ROOT / "feature_repo"), **overrides}
    return read_use_case(ROOT / "use_cases/fraud.yaml", places, [overlay])


def table(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))])


def test_the_source_grows_to_the_whole_world_day_by_day(data: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    begin_source(STORY, data, source)
    assert table(source).get_column("time").max() < STORY.today  # type: ignore[operator]
    coming = read_coming(STORY, settings(source), data, SEED)
    for day in range(STORY.days):
        start = STORY.today + day * DAY
        raw, events, labels = coming.day(start)
        grow(source, raw, start)
        seen = ingest(settings(source, **{"data.end": (start + DAY).isoformat()}), now=datetime.now(UTC))
        known = seen.events.filter(pl.col("event_time") >= start)
        assert events.equals(known.join(events.select("event_id"), on="event_id", how="semi"))
        assert labels.get_column("label_time").is_between(start, start + DAY, closed="left").all() and labels.height
    whole, _ = simulate(STORY.world(), SEED)
    assert table(source).equals(whole)


def test_the_endpoint_is_asked_about_a_district_and_hears_of_all_that_happens_there(data: Path) -> None:
    coming = read_coming(STORY, settings(data), data, SEED)
    cards = [str(card) for card in district(STORY.world(), SEED, STORY.share)]
    own = pl.col("card").is_in(cards)
    assert coming.cards == len(cards) == 12
    assert coming.asked == set(coming.events.filter(own).get_column("event_id"))
    everything = ingest(
        settings(data.with_name(f"{data.name}-to-come"), **{"data.start": "2018-01-01T00:00:00Z"}),
        now=datetime.now(UTC),
    ).events
    shops = everything.filter(own).get_column("terminal").unique().implode()
    near = everything.filter((pl.col("event_time") >= STORY.today) & (own | pl.col("terminal").is_in(shops)))
    assert coming.events.equals(near)


def test_a_diary_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Diary.read(tmp_path) == Diary()
    Diary(days=3, asked=5, requests=2, updates=9).write(tmp_path)
    assert Diary.read(tmp_path) == Diary(days=3, asked=5, requests=2, updates=9)
