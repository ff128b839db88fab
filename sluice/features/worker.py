"""Feature rows as a program of its own: what a SparkApplication runs as its driver, beside the pipeline.

    python -m sluice.features.worker --settings use_case.yaml --overlay more.yaml --history FOLDER --rows rows.parquet

`--history` is a folder as `sluice ingest` writes it. The windows are computed by Spark, whatever `features.engine` is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sluice.features.historical import feature_rows
from sluice.ingest import Ingested
from sluice.settings import UseCase, read_use_case
from sluice.steps import step


def main(arguments: Sequence[str] | None = None) -> None:
    """Read history, ask Spark, write the rows; the file appears when it is whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, required=True, help="use case file")
    parser.add_argument("--overlay", type=Path, action="append", default=[], help="settings laid over it")
    parser.add_argument("--history", type=Path, required=True, help="folder that `sluice ingest` wrote")
    parser.add_argument("--rows", type=Path, required=True, help="Parquet file that the rows go to")
    given = parser.parse_args(arguments)
    with step("features") as progress:
        use_case = _on_spark(read_use_case(given.settings, {}, given.overlay))
        known = Ingested.read(given.history)
        rows = feature_rows(use_case, known.events, known.labels, progress=progress)
        part = given.rows.with_suffix(".part")
        rows.write_parquet(part)
        part.rename(given.rows)


def _on_spark(use_case: UseCase) -> UseCase:
    features = use_case.features.model_copy(update={"engine": "spark"})
    return use_case.model_copy(update={"features": features})


if __name__ == "__main__":
    main()
