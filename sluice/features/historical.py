"""Feature rows for training: the windows through Feast's own door, the request features beside them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from feast import FeatureStore

from sluice.errors import DataError
from sluice.features.repository import Service, quiet_feast, read_repository, service_of
from sluice.features.request import EVENT_TIME, request_features
from sluice.features.stores import historical_store
from sluice.settings import UseCase
from sluice.settings.features import ValueFeature
from sluice.steps import Progress, silent


def feature_names(use_case: UseCase, *, root: Path | None = None) -> list[str]:
    """Names of the feature columns in order: the service's windows, then the request features."""
    features = use_case.features
    names: list[str] = []
    if features.repo is not None and features.service is not None:
        names += service_of(read_repository(Path(root or "") / features.repo), features.service).names
    return names + [feature.name for feature in features.request]


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
    entities = list(use_case.data.columns.entities)
    identity = ["event_id", "event_time", "arrival", *entities]
    _require(asked, [*identity, *(f.column for f in use_case.features.request if isinstance(f, ValueFeature))])
    rows = asked.select(identity)
    features = use_case.features
    if features.repo is not None and features.service is not None:
        repository = read_repository(Path(root or "") / features.repo)
        service = service_of(repository, features.service)
        with tempfile.TemporaryDirectory(prefix="sluice-features-") as folder:
            sources = _write_sources(events, labels, Path(folder), progress)
            store = historical_store(repository, Path(folder), sources)
            progress("windows", 1, 3, f"{rows.height:,} rows through Feast's get_historical_features")
            rows = rows.hstack(_windows(store, service, rows))
    progress("request features", 2, 3)
    columns = _columns(use_case, asked, rows)
    made = request_features(features.request, columns)
    progress("request features", 3, 3)
    return rows.with_columns(_series(name, values) for name, values in made.items())


def _windows(store: FeatureStore, service: Service, rows: pl.DataFrame) -> pl.DataFrame:
    frame = rows.rename({"event_time": "event_timestamp"}).to_pandas(use_pyarrow_extension_array=True)
    with quiet_feast():
        wanted = store.get_feature_service(service.name)
        job = store.get_historical_features(frame, wanted, filter_by_created_timestamp=True)
        table: pa.Table = job.to_arrow()
    answered = pl.from_arrow(table.select(list(service.names)))
    assert isinstance(answered, pl.DataFrame)
    return answered.select(pl.col(pl.String), pl.exclude(pl.String).cast(pl.Float64)).select(service.names)


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
