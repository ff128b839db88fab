"""A Spark session as the settings want it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluice.errors import FeatureError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA = 17
_INSTALL = "install Java 17 or later (Debian: openjdk-17-jre-headless), or set features.engine: local"


@contextmanager
def spark_session(master: str, options: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session of our own, stopped at the end; one that runs in this process already is used and left running.

    Args:
        master: `local[*]`, `spark://host:7077`, `k8s://…`; what `spark-submit` was given wins over it.
        options: Spark's own settings, by their names.

    Raises:
        FeatureError: pyspark or Java is not here, or Spark does not start.
    """
    _require_java()
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise FeatureError(
            "features.engine is spark, and pyspark is not here", "install sluice[core,spark], or use engine: local"
        ) from None
    running = SparkSession.getActiveSession()
    if running is not None:
        yield running
        return
    builder = SparkSession.Builder().appName("sluice-features")
    given = {**_OURS, **(_HERE if master.startswith("local") else {}), **options}
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # else spark-submit started us, and says where
        given["spark.master"] = master
    # Workers are started by Spark, by default with the machine's own Python.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    for name, value in given.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # a Java exception, a port, a master that is not there: all are Spark's to say
        raise FeatureError(f"Spark does not start at {master}: {error}", "look at features.spark") from error
    try:
        yield session
    finally:
        session.stop()


_OURS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
}
_HERE = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""Nobody but this machine is spoken to."""


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if program is None:
        raise FeatureError("features.engine is spark, and there is no Java here", _INSTALL)
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < JAVA:
        raise FeatureError(f"Spark needs Java {JAVA}, and {program} says: {said.strip().splitlines()[:1]}", _INSTALL)
