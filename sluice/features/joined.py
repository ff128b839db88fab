"""Ordinary feature views beside the windows, online: of each key the latest value that was known at an instant.

Feast's `materialize` takes values that had not arrived yet, and an older run overwrites a newer one. So the offline
store's point-in-time join is asked at the instant instead, and what it answers is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from feast import FileSource
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import String

from sluice.errors import FeatureError
from sluice.features.reading import Reader
from sluice.features.repository import Part, Repository, quiet_feast
from sluice.features.rows import Row
from sluice.features.stores import historical_store


def known_values(repository: Repository, part: Part, until_us: int) -> Iterator[tuple[str, Row]]:
    """The latest value of each key at an instant: its event time and its arrival lie before it.

    Raises:
        FeatureError: the view's source cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-joined-") as folder, quiet_feast():
        store = historical_store(repository, Path(folder), {})
        source = part.view.batch_source
        if not isinstance(source, FileSource):
            raise FeatureError(f"feature view {part.view.name}: its batch source is no file", "give it a FileSource")
        path = FileSource.get_uri_for_file_path(repository.path.resolve(), source.path)
        try:
            keys = pl.scan_parquet(path).select(part.join_key).unique().drop_nulls().sort(part.join_key).collect()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise FeatureError(f"feature view {part.view.name}: {path} cannot be read: {error}", "write it") from error
        instant = pl.lit(until_us).cast(pl.Datetime("us", "UTC"))
        asked = keys.with_columns(event_timestamp=instant).to_pandas()
        wanted = [f"{part.view.name}:{name}" for name in part.names]
        found = store.get_historical_features(asked, wanted, filter_by_created_timestamp=True).to_arrow()
    for row in found.select([part.join_key, *part.names]).to_pylist():
        if any(row[name] is not None for name in part.names):
            version = max(until_us // 1_000_000, 1)
            yield str(row[part.join_key]), Row({name: row[name] for name in part.names}, version)


def look_up_joined(
    reader: Reader, parts: Sequence[Part], entities: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """The stored values of requests' entities: float64 [n] with NaN, or strings and None, by feature name."""
    columns: dict[str, np.ndarray] = {}
    for part in parts:
        keys = entities[part.join_key]
        asked = list(dict.fromkeys(keys))
        rows = dict(zip(asked, reader.read(part.view, asked), strict=True))
        texts = text_names([part])
        for name in part.names:
            found = [_plain((rows[key] or {}).get(name)) for key in keys]
            columns[name] = np.array(found, dtype=object) if name in texts else _numbers(found)
    return columns


def text_names(parts: Sequence[Part]) -> set[str]:
    """The features of ordinary views that are strings."""
    return {field.name for part in parts for field in part.view.features if field.dtype == String} & {
        name for part in parts for name in part.names
    }


def _plain(value: Value | None) -> Any:
    kind = value.WhichOneof("val") if value is not None else None
    return getattr(value, kind) if kind is not None and kind != "null_val" else None


def _numbers(found: list[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)
