"""What a repository declares beside its windows: their columns, and the views that are online.

For each stream feature view `<x>` there is a plain view `<x>_state`: the tiles that its windows are answered from,
one row an entity. `streams_state` holds how far the updater has come in each stream.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, StreamFeatureView, ValueType
from feast.aggregation import Aggregation
from feast.types import Array, FeastType, Float64, Int64, String

STATE_SUFFIX = "_state"
STREAMS_STATE, STREAM = "streams_state", "stream"
TIME, VERSION = "time", "version"

STATE_COLUMNS: dict[str, FeastType] = {
    "tile_index": Array(Int64),
    "tile_stats": Array(Int64),
    "recent": Array(Int64),
    "recent_ids": Array(String),
    "time": Int64,
    "arrival": Int64,
    VERSION: Int64,
}
"""What `sluice.windows.tiles.to_arrays` gives, and the version that orders the writes of one key."""


def window_fields(entity: Entity, aggregations: Iterable[Aggregation]) -> list[Field]:
    """The schema of a stream feature view: its join key, then one Float64 for each aggregation."""
    key = Field(name=entity.join_key, dtype=String)
    return [key, *(Field(name=aggregation.name, dtype=Float64) for aggregation in aggregations)]


def state_view(view: StreamFeatureView, entity: Entity) -> FeatureView:
    """The online twin of a stream feature view. Only the updater writes it."""
    key = Field(name=entity.join_key, dtype=String)
    fields = [key, *(Field(name=name, dtype=dtype) for name, dtype in STATE_COLUMNS.items())]
    return _pushed(f"{view.name}{STATE_SUFFIX}", entity, fields)


def watermark_view() -> tuple[Entity, FeatureView]:
    """The entity `stream` and the view that says up to which instant (µs since 1970) each stream was applied."""
    stream = Entity(name=STREAM, join_keys=[STREAM], value_type=ValueType.STRING)
    fields = [Field(name=STREAM, dtype=String), *(Field(name=n, dtype=Int64) for n in (TIME, VERSION))]
    return stream, _pushed(STREAMS_STATE, stream, fields)


def _pushed(name: str, entity: Entity, fields: list[Field]) -> FeatureView:
    file = FileSource(name=f"{name}_file", path=f"data/{name}.parquet", timestamp_field="version_time")
    source = PushSource(name=f"{name}_push", batch_source=file)
    return FeatureView(name=name, entities=[entity], schema=fields, source=source, ttl=timedelta(), online=True)
