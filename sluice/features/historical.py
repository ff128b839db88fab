"""Feature rows for training: the windows through Feast's own door, the request features beside them."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from feast import FeatureStore

from sluice.errors import DataError
from sluice.features.repository import Service, quiet_feast, read_repository, read_service
from sluice.features.request import EVENT_TIME, request_features
from sluice.features.stores import historical_store
from sluice.settings import UseCase
from sluice.settings.features import ValueFeature
from sluice.steps import Progress, silent
from sluice.windows.spark_job import SparkJob


def feature_names(use_case: UseCase, *, root: Path | None = None) -> list[str]:
    """Names of the feature columns in order: the service's windows, then the request features."""
    service = read_service(use_case, root)
    windows = service.names if service is not None else ()
    return [*windows, *(feature.name for feature in use_case.features.request)]


def feature_rows(
    use_case: UseCase,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    questions: pl.DataFrame | None = None,
    root: Path | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """The features of each question, as they were known when it was asked.

    Args:
        events: the events table; what the windows see.
        labels: the label stream; what windows over labels see.
        questions: rows of the events table to answer; default: all events.
        root: folder that `features.repo` is relative to; default: the working directory.
        progress: told what is being done.

    Returns:
        `event_id`, `event_time`, `arrival`, the entity columns, then the features in order (Float64, or String for
        categories), one row a question in the order of the questions.

    Raises:
        SettingsError: the feature service cannot be used.
        FeatureError: the repository or a source cannot be read.
        DataError: the events lack a column.
    """
    asked = events if questions is None else questions
    service = read_service(use_case, root)
    windows = None
    if service is not None:
        windows = window_features(use_case, service, events, labels, asked, root=root, progress=progress)
    progress("request features", 2, 3)
    rows = with_request_features(use_case, asked, windows)
    progress("request features", 3, 3)
    return rows


def window_features(
    use_case: UseCase,
    service: Service,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    asked: pl.DataFrame,
    *,
    entity: str | None = None,
    root: Path | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """What the views of a feature service answer, through Feast's `get_historical_features`.

    Args:
        entity: ask only the views that are joined by it. They see nothing of an event or label but what shares
            the entity with a question, so that events and labels of the questions' entities are enough.

    Returns:
        Their features in order (Float64, or String), one row for each row of `asked`, in its order.

    Raises:
        FeatureError: the repository or a source cannot be read.
        DataError: the questions lack a column.
    """
    rows = _identity(use_case, asked)
    repository = read_repository(Path(root or "") / str(use_case.features.repo))
    # What is asked for one entity is a part of a table that was cut to fit this machine.
    on_spark = use_case.features.engine == "spark" and entity is None
    engine = SparkJob(**use_case.features.spark.model_dump()) if on_spark else None
    with tempfile.TemporaryDirectory(prefix="sluice-features-") as folder, _running(engine):
        sources = _write_sources(events, labels, Path(folder), progress)
        store = historical_store(repository, Path(folder), sources, asdict(engine) if engine else None)
        progress("windows", 1, 3, f"{rows.height:,} rows through Feast's get_historical_features")
        return _windows(store, service, entity, rows)


def with_request_features(use_case: UseCase, asked: pl.DataFrame, windows: pl.DataFrame | None) -> pl.DataFrame:
    """The rows that `feature_rows` returns, from the questions and what windows answered for each of them."""
    rows = _identity(use_case, asked)
    rows = rows if windows is None else rows.hstack(windows)
    made = request_features(use_case.features.request, _columns(use_case, asked, rows))
    return rows.with_columns(_series(name, values) for name, values in made.items())


def _running(engine: SparkJob | None) -> AbstractContextManager[object]:
    """One Spark session for all views."""
    return engine.session() if engine else nullcontext()


def _identity(use_case: UseCase, asked: pl.DataFrame) -> pl.DataFrame:
    """Event, times and entities of the questions."""
    identity = ["event_id", "event_time", "arrival", *use_case.data.columns.entities]
    _require(asked, [*identity, *(f.column for f in use_case.features.request if isinstance(f, ValueFeature))])
    return asked.select(identity)


def _windows(store: FeatureStore, service: Service, entity: str | None, rows: pl.DataFrame) -> pl.DataFrame:
    frame = rows.rename({"event_time": "event_timestamp"}).to_pandas(use_pyarrow_extension_array=True)
    parts = service.parts if entity is None else service.of_entity(entity)
    names = [name for part in parts for name in part.names]
    wanted: Any = [f"{part.view.name}:{name}" for part in parts for name in part.names]
    with quiet_feast():
        if entity is None:
            wanted = store.get_feature_service(service.name)
        job = store.get_historical_features(frame, wanted, filter_by_created_timestamp=True)
        table: pa.Table = job.to_arrow()
    answered = pl.from_arrow(table.select(names))
    assert isinstance(answered, pl.DataFrame)
    return answered.select(pl.col(pl.String), pl.exclude(pl.String).cast(pl.Float64)).select(names)


def _write_sources(events: pl.DataFrame, labels: pl.DataFrame, folder: Path, progress: Progress) -> dict[str, Path]:
    progress("windows", 0, 3, f"laying {events.height:,} events and {labels.height:,} label events out for Feast")
    paths = {"events": folder / "events.parquet", "labels": folder / "labels.parquet"}
    events.write_parquet(paths["events"], compression="lz4", statistics=False)
    labels.write_parquet(paths["labels"], compression="lz4", statistics=False)
    return paths


def _columns(use_case: UseCase, asked: pl.DataFrame, rows: pl.DataFrame) -> dict[str, np.ndarray]:
    """What request features are made of: values, windows and the event's time."""
    columns = {EVENT_TIME: rows.get_column("event_time").cast(pl.Int64).to_numpy()}
    values = [name for name in use_case.data.columns.values if name in asked.columns]
    for table, names in ((asked, values), (rows, [n for n in rows.columns if n not in columns])):
        for name in names:
            series = table.get_column(name)
            if series.dtype == pl.String:
                columns[name] = np.array(series.to_list(), dtype=object) if name in values else np.empty(0)
            elif series.dtype.is_numeric():
                columns[name] = series.cast(pl.Float64).to_numpy()
    return columns


def _series(name: str, values: np.ndarray) -> pl.Series:
    return pl.Series(name, values, dtype=pl.String if values.dtype == object else pl.Float64)


def _require(table: pl.DataFrame, names: list[str]) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DataError(f"the events have no column {', '.join(missing)}", "run `sluice ingest` with these settings")
