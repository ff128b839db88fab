"""Windows of a stream file on Spark: tables out to where its tasks see them, answers back in the questions' order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from sluice.errors import FeatureError
from sluice.windows.definition import WindowView
from sluice.windows.spark import ROW, sweep_on_spark, translated
from sluice.windows.spark_session import spark_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SparkJob:
    """Where windows are computed.

    Attributes:
        master, options: as `spark_session` takes them.
        rows_per_cell: as `sweep_on_spark` takes it.
        staging: a folder that driver and executors share; None: a temporary one, which `local[*]` sees.
    """

    master: str = "local[*]"
    rows_per_cell: int = 1_000_000
    staging: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def session(self) -> AbstractContextManager[SparkSession]:
        """The session; within it all answers come from one."""
        return spark_session(self.master, self.options)

    def answers(self, view: WindowView, stream: pl.LazyFrame, questions: pl.DataFrame) -> pl.DataFrame:
        """What the sweep would answer: a Float64 column an aggregation, rows in the questions' order.

        Args:
            stream: the view's events or labels as ingest wrote them; read and laid out without being held.

        Raises:
            FeatureError: what the sweep raises, or Spark cannot start or fails.
        """
        from pyspark.errors import PySparkException

        with self.session() as session, self._folder() as folder:
            numbered(stream).sink_parquet(folder / "stream.parquet")
            numbered(questions.lazy()).sink_parquet(folder / "questions.parquet")
            asked = session.read.parquet(str(folder / "questions.parquet"))
            past = session.read.parquet(str(folder / "stream.parquet"))
            try:
                found = sweep_on_spark(view, past, asked, rows_per_cell=self.rows_per_cell).toArrow()
            except PySparkException as error:
                raise translated(error, view) from error
        table = pl.DataFrame(found).sort(ROW)
        if table.height != questions.height:
            raise FeatureError(
                f"windows of {view.name} on Spark: {table.height} answers to {questions.height} questions",
                "a task was lost: look at the executors' logs, and run again",
            )
        return table.select(a.name for a in view.aggregations)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        if self.staging is not None and not Path(self.staging).is_dir():
            raise FeatureError(f"features.spark.staging: {self.staging} is no folder here", "mount it, or make it")
        with tempfile.TemporaryDirectory(prefix="sluice-spark-", dir=self.staging) as folder:
            # Executors may be other users than the one who made it.
            Path(folder).chmod(0o755)
            yield Path(folder)


def numbered(table: pl.LazyFrame) -> pl.LazyFrame:
    """The table with the position of each row, which Spark does not keep."""
    return table.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
