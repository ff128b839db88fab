"""What the demo's weeks are made of, in a small world: the source that grows, the days to come, the diary."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest

from sluice.features.historical import feature_rows
from sluice.features.online import OnlineFeatures
from sluice.features.schema import to_matrix
from sluice.ingest import Ingested, ingest
from sluice.settings import UseCase, read_use_case
from sluice.simulate import simulate
from sluice_cli.coming import Coming, begin_source, grow, read_coming
from sluice_cli.demo_world import DAY, Story, to_come, write_world
from sluice_cli.weeks import Diary
from sluice_serving import playing
from sluice_serving.replay import equal_bits
from sluice_serving.requests import RequestReader

ROOT = Path(__file__).parents[2]
STORY = Story(days=8, cards=60, terminals=40, share=0.3)
SEED = 3
NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
    assert table(source).select(pl.col("time").max() < STORY.today).item()
    coming = read_coming(STORY, settings(source), data, SEED)
    for number in range(STORY.days):
        start = STORY.today + number * DAY
        grow(source, coming.day(start).raw, start)
        assert table(source).select(pl.col("time").is_between(start, start + DAY).any()).item()
    whole, _ = simulate(STORY.world(), SEED)
    assert table(source).equals(whole.filter(pl.col("time") < STORY.end))


class Answering:
    """A server's place: composes what it is asked about from state, and keeps it."""

    online: OnlineFeatures
    reader: RequestReader
    ids: list[str]
    matrices: list[np.ndarray]

    def __init__(self, *_: object) -> None:
        pass

    def predict(self, body: bytes) -> dict[str, Any]:
        rows = orjson.loads(body)["instances"]
        found = self.online.compose(self.reader.read_rows(rows))
        assert not found.ahead.any() and not found.repeated.any() and not any(found.stale)
        self.ids += [row["event_id"] for row in rows]
        self.matrices.append(found.matrix)
        return {"predictions": rows}

    def close(self) -> None:
        pass


def test_state_that_is_kept_for_the_questions_alone_answers_as_history_does(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_case = settings(to_come(data), **{"data.start": "2018-01-01T00:00:00Z"})
    known, coming = ingest(use_case, now=NOW), read_coming(STORY, settings(data), data, SEED)
    online = OnlineFeatures.open(use_case, tmp_path)
    Answering.online, Answering.reader, Answering.ids, Answering.matrices = online, RequestReader(use_case), [], []
    monkeypatch.setattr(playing, "Client", Answering)
    updates = 0
    for number in range(STORY.days):
        day = coming.day(STORY.today + number * DAY)
        online.materialise(*day.before)
        told = {"asked": day.asked, "applied": day.applied, "online": online, "most": 100}
        updates += playing.play(use_case, "http://nowhere", day.events, day.labels, **told).updates
    assert sorted(Answering.ids) == sorted(coming.asked) and 0 < updates < _all_updates(known)
    asked = known.events.filter(pl.col("event_id").is_in(Answering.ids))
    assert asked.get_column("event_id").to_list() == Answering.ids
    expected = to_matrix(online.schema, feature_rows(use_case, known.events, known.labels, questions=asked))
    assert equal_bits(np.vstack(Answering.matrices), expected).all()


def _all_updates(known: Ingested) -> int:
    events = known.events.filter(pl.col("event_time") >= STORY.today)
    return events.height + known.labels.filter(pl.col("label_time") >= STORY.today).height


def test_some_transactions_are_asked_about(data: Path) -> None:
    coming: Coming = read_coming(STORY, settings(data), data, SEED)
    assert len(coming.asked) == int(STORY.share * coming.raw.height)


def test_a_diary_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Diary.read(tmp_path) == Diary()
    Diary(days=3, asked=5, requests=2, updates=9).write(tmp_path)
    assert Diary.read(tmp_path) == Diary(days=3, asked=5, requests=2, updates=9)
