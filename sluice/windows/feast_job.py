"""The answer of the window store, as Feast hands it on."""

from __future__ import annotations

from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from feast import RepoConfig
from feast.infra.offline_stores.duckdb import _write_data_source
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.on_demand_feature_view import OnDemandFeatureView


class WindowRetrievalJob(RetrievalJob):
    """The answer: an Arrow table, the entity frame's columns first."""

    def __init__(
        self,
        config: RepoConfig,
        table: pa.Table,
        on_demand: list[OnDemandFeatureView],
        full_feature_names: bool,
        metadata: RetrievalMetadata,
    ) -> None:
        super().__init__()
        self._config, self._table, self._on_demand = config, table, on_demand
        self._full_feature_names, self._metadata = full_feature_names, metadata

    @property
    def full_feature_names(self) -> bool:
        """Whether names carry their view's."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """Views that Feast computes from the answer."""
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for."""
        return self._metadata

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's signature
        return self._table

    def persist(self, storage: Any, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the answer to a saved dataset's storage."""
        source = storage.to_data_source()
        table = ibis.memtable(self._to_arrow_internal(timeout))
        _write_data_source(table, source, str(self._config.repo_path), "overwrite", allow_overwrite)
