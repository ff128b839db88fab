"""The door through which the tests of ingest read their tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ingest_sources import NOW, Read, use_case

from sluice.ingest import Ingested, ingest
from sluice.settings import UseCase


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a table as Parquet or CSV and ingest it."""

    def _read(table: pl.DataFrame, case: UseCase | None = None, *, csv: bool = False, **options: Any) -> Ingested:
        path = tmp_path / ("events.csv" if csv else "events.parquet")
        table.write_csv(path) if csv else table.write_parquet(path)
        return ingest(case or use_case(), source=str(path), **{"now": NOW, **options})

    return _read
