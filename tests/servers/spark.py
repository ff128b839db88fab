"""A local Spark for the tests; without Java they are skipped, loudly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from servers.process import missing
from sluice.errors import FeatureError
from sluice.windows.spark_session import spark_session

OPTIONS = {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "1g", "spark.sql.adaptive.enabled": "false"}


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """One session for all tests of a process: starting it takes seconds."""
    try:
        session = spark_session("local[2]", OPTIONS)
        with session as running:
            yield running
    except FeatureError as error:
        missing["Java"] = error.hint
        if os.environ.get("SLUICE_TESTS_COMPLETE") == "1":
            pytest.fail(f"{error.message}, and nothing may be skipped", pytrace=False)
        pytest.skip(error.message)
