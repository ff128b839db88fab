"""Feast's offline door: a DuckDB store that also answers stream feature views with time windows.

Feast's local engine has no time windows. Named in `feature_store.yaml` as
`offline_store: {type: sluice.windows.feast_store.WindowOfflineStore}`, this store answers stream feature views with
aggregations by the sweep, for any entity and any time, and leaves every other view to DuckDB's point-in-time join.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pandas as pd
import polars as pl
import pyarrow as pa
from feast import FeatureView, FileSource, RepoConfig, StreamFeatureView
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _read_data_source,
    _write_data_source,
)
from feast.infra.offline_stores.ibis import get_historical_features_ibis
from feast.on_demand_feature_view import OnDemandFeatureView
from pydantic import Field

from sluice.errors import FeatureError
from sluice.windows.definition import WindowView, view_from_feast
from sluice.windows.feast_frame import ARRIVAL, EVENT_ID, EntityFrame
from sluice.windows.feast_job import WindowRetrievalJob
from sluice.windows.stream import entries_of
from sluice.windows.sweep import sweep

_ROW = "__sluice_row"
Column = Any
"""An Arrow column, in one piece or several."""
Engine = Callable[[WindowView, pl.LazyFrame, pl.DataFrame], pl.DataFrame]
"""A view, its stream and the questions to the sweep's answers."""


class WindowOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """Settings of the store. `sources` puts a run's own files (source name to path) in place of the declared ones.
    With `spark` (the fields of `sluice.windows.spark_job.SparkJob`) the windows are computed there."""

    type: Literal["sluice.windows.feast_store.WindowOfflineStore"] = "sluice.windows.feast_store.WindowOfflineStore"
    sources: dict[str, str] = Field(default_factory=dict)
    spark: dict[str, Any] | None = None


class WindowOfflineStore(DuckDBOfflineStore):
    """DuckDB for ordinary feature views, the sweep for windows."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_: Any,
    ) -> WindowRetrievalJob:
        """What `FeatureStore.get_historical_features` calls.

        Args:
            entity_df: entity columns, `event_timestamp`, optionally `event_id` and `arrival`. Rows come back in its
                order. Without an event id a row sees everything up to and including its time.

        Raises:
            FeatureError: the frame lacks what the views need, or a source cannot be read.
        """
        if not isinstance(entity_df, pd.DataFrame):
            raise FeatureError("windows are answered for a pandas entity frame", "pass entity_df as a DataFrame")
        frame = EntityFrame(entity_df)
        options = {
            "registry": registry,
            "project": project,
            "filter_by_created_timestamp": filter_by_created_timestamp,
        }
        columns: dict[str, Column] = {}
        for view in feature_views:
            names = _requested(view, feature_refs)
            if isinstance(view, StreamFeatureView) and view.aggregations:
                answers = _window_answers(config, view, names, frame)
            else:
                answers = _joined(config, view, names, frame, **options)
            prefix = f"{_name(view)}__" if full_feature_names else ""
            columns |= {f"{prefix}{name}": answers[name] for name in names}
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        table = pa.table({**frame.arrow(), **columns})
        return WindowRetrievalJob(config, table, on_demand, full_feature_names, frame.metadata(feature_refs))


def _name(view: FeatureView) -> str:
    return str(view.projection.name_to_use())  # type: ignore[no-untyped-call]


def _requested(view: FeatureView, feature_refs: Sequence[str]) -> list[str]:
    """Names asked of a view: windows in the order of the aggregations (Feast's own order is a set's)."""
    prefix = f"{_name(view)}:"
    names = [ref.removeprefix(prefix) for ref in feature_refs if ref.startswith(prefix)]
    if isinstance(view, StreamFeatureView) and view.aggregations:
        order = {aggregation.name: i for i, aggregation in enumerate(view.aggregations)}
        return sorted(names, key=lambda name: order.get(name, len(order)))
    return names


def _window_answers(
    config: RepoConfig, feature_view: StreamFeatureView, names: Sequence[str], frame: EntityFrame
) -> Mapping[str, Column]:
    view = view_from_feast(feature_view)
    renamed: Mapping[str, str] = feature_view.projection.join_key_map or {}
    questions = frame.questions(renamed.get(view.entity, view.entity))
    with _reading(config, feature_view.batch_source, view) as stream:
        answers = _engine(config)(view, stream, questions)
    return {name: answers.get_column(name).to_arrow() for name in names}


def _engine(config: RepoConfig) -> Engine:
    given: dict[str, Any] | None = getattr(config.offline_store, "spark", None)
    if given is None:
        return _swept
    from sluice.windows.spark_job import SparkJob

    return SparkJob(**given).answers


def _swept(view: WindowView, stream: pl.LazyFrame, questions: pl.DataFrame) -> pl.DataFrame:
    table = stream.collect()
    return sweep(view, entries_of(view, table, table), questions)


@contextmanager
def _reading(config: RepoConfig, source: DataSource | None, view: WindowView) -> Iterator[pl.LazyFrame]:
    """The columns of a source that its windows need; what cannot be read is told, when it is and while it is used."""
    if not isinstance(source, FileSource):
        raise FeatureError(f"feature view {view.name}: its batch source is no file", "give it a FileSource")
    path = source_path(config, source)
    try:
        lazy = pl.scan_parquet(path)
        known = lazy.collect_schema().names()
        wanted = {EVENT_ID, "event_time", "label_time", ARRIVAL, view.entity, *(a.column for a in view.aggregations)}
        yield lazy.select([name for name in known if name in wanted])
    except (OSError, pl.exceptions.PolarsError) as error:
        raise FeatureError(
            f"feature view {view.name}: its source {path} cannot be read: {error}",
            "`sluice ingest` writes it; or give the file's place in offline_store.sources",
        ) from error


def source_path(config: RepoConfig, source: FileSource) -> str:
    """Where a source's file is: the run's own, else the declared path, relative to the repository."""
    given: dict[str, str] = getattr(config.offline_store, "sources", {})
    return FileSource.get_uri_for_file_path(config.repo_path, given.get(source.name, source.path))


def _joined(
    config: RepoConfig, view: FeatureView, names: Sequence[str], frame: EntityFrame, **options: Any
) -> Mapping[str, Column]:
    """An ordinary feature view through Feast's own point-in-time join, in the frame's order."""

    def read(source: Any, repo_path: str) -> Any:
        if isinstance(source, FileSource) and (path := source_path(config, source)) != source.path:
            source = FileSource.from_proto(source.to_proto())
            source.file_options.uri = path
        return _read_data_source(source, repo_path)

    kept = [column for column in frame.pandas.columns if column not in {*names, EVENT_ID, ARRIVAL}]
    job = get_historical_features_ibis(
        config=config,
        feature_views=[view],
        feature_refs=[f"{_name(view)}:{name}" for name in names],
        entity_df=frame.plain(kept).assign(**{_ROW: range(len(frame.pandas))}),
        data_source_reader=read,
        data_source_writer=_write_data_source,
        **options,
    )
    table: pa.Table = job.to_arrow().sort_by(_ROW)
    return {name: table[name] for name in names}
