"""Entity frames as people pass them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pytest

from sluice.errors import FeatureError
from sluice.windows.feast_frame import EntityFrame

NOON = datetime(2018, 5, 1, 12, tzinfo=UTC)
MICRO = int(NOON.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "times",
    [
        pd.Series([NOON]),
        pd.Series([NOON.replace(tzinfo=None)]),
        pd.Series(pd.to_datetime(["2018-05-01 14:00+02:00"])),
        pd.Series([pd.Timestamp(NOON)], dtype="datetime64[ns, UTC]"),
        pl.Series([NOON]).to_pandas(use_pyarrow_extension_array=True),
    ],
    ids=["aware", "naive is UTC", "offset", "nanoseconds", "arrow"],
)
def test_times_of_any_kind(times: pd.Series) -> None:
    asked = EntityFrame(pd.DataFrame({"card": ["c1"], "event_timestamp": times})).questions("card")
    assert asked.row(0, named=True) == {"key": "c1", "time": MICRO, "arrival": MICRO, "event_id": None}


def test_arrival_and_event_id_are_taken_where_given() -> None:
    frame = pd.DataFrame(
        {"card": [7], "event_timestamp": [NOON], "arrival": [NOON + timedelta(seconds=1)], "event_id": ["e"]}
    )
    asked = EntityFrame(frame).questions("card")
    assert asked.row(0) == ("7", MICRO, MICRO + 1_000_000, "e")


def test_a_missing_time_is_told() -> None:
    frame = pd.DataFrame({"card": ["a", "b"], "event_timestamp": pd.Series([NOON, None])})
    with pytest.raises(FeatureError, match="missing in 1 rows"):
        EntityFrame(frame)
