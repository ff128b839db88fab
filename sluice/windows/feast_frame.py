"""An entity frame as Feast passes it, and as questions to the sweep."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
from feast.infra.offline_stores.offline_store import RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from sluice.errors import FeatureError

EVENT_ID, ARRIVAL = "event_id", "arrival"
"""Optional columns of the entity frame: the event that asks (it and its ties are then ordered exactly), and when it
asked (what had not arrived by then is not seen; default: its own time)."""


class EntityFrame:
    """Entity columns and `event_timestamp`, optionally `event_id` and `arrival`, in rows of any order."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.pandas = frame
        self.time_column: str = infer_event_timestamp_from_entity_df(dict(frame.dtypes))
        self._time = self._microseconds(self.time_column)
        self._arrival = self._microseconds(ARRIVAL) if ARRIVAL in frame.columns else self._time
        self._keys: dict[str, pl.Series] = {}
        ids = self._strings(EVENT_ID) if EVENT_ID in frame.columns else None
        self._event_id = ids if ids is not None else pl.Series([None] * len(frame), dtype=pl.String)

    def questions(self, key_column: str) -> pl.DataFrame:
        """What the sweep is asked: key, time and arrival in µs since 1970, event_id (null: everything up to time).

        Raises:
            FeatureError: the frame has no such column.
        """
        if key_column not in self._keys:
            self._keys[key_column] = self._strings(key_column)
        key = self._keys[key_column]
        return pl.DataFrame({"key": key, "time": self._time, "arrival": self._arrival, "event_id": self._event_id})

    def arrow(self) -> dict[str, pa.Array[Any]]:
        """The frame's own columns as they go back to Feast."""
        return {str(name): pa.array(self.pandas[name]) for name in self.pandas.columns}

    def plain(self, columns: list[str]) -> pd.DataFrame:
        """Some columns as pandas' own types: Feast's join cannot take Arrow's."""
        return pa.Table.from_pandas(self.pandas[columns], preserve_index=False).to_pandas(ignore_metadata=True)

    def metadata(self, feature_refs: list[str]) -> RetrievalMetadata:
        """What Feast wants to know of the request."""
        times = self.pandas[self.time_column]
        keys = [column for column in self.pandas.columns if column != self.time_column]
        return RetrievalMetadata(feature_refs, keys, times.min(), times.max())

    def _strings(self, column: str) -> pl.Series:
        if column not in self.pandas.columns:
            raise FeatureError(f"the entity frame has no column {column!r}", "add it: one value for each row")
        return pl.Series(pa.array(self.pandas[column])).cast(pl.String)

    def _microseconds(self, column: str) -> pl.Series:
        series = pl.Series(pa.array(self.pandas[column]))
        if not isinstance(series.dtype, pl.Datetime):
            series = pl.Series(pa.array(pd.to_datetime(self.pandas[column], utc=True)))
        if series.null_count():
            raise FeatureError(
                f"the entity frame's {column} is missing in {series.null_count()} rows", "give every row its time"
            )
        return series.dt.cast_time_unit("us").to_physical()
