"""Batch scoring: seconds and memory for a table of a million rows, and what a part of it takes.

    python bench/scoring.py [--rows 250000 1000000 1700000]

The rows are the simulator's, without history; features are the fraud use case's, the graph is a network of its size.
Each size is scored by a process of its own, whose peak memory counts; ratios are to the first size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from machine import machine
from rich.console import Console
from rich.table import Table

from serving import ROOT, network
from sluice.export.graph import Graph
from sluice.features.historical import feature_names
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.scoring import score_file
from sluice.settings import read_use_case
from sluice.simulate import World, write_raw


@dataclass(frozen=True)
class Scored:
    """What one size took: seconds, processor seconds, MiB before the table was read and at the most."""

    rows: int
    seconds: float
    processor: float
    before: float
    peak: float


def main() -> None:
    """Simulate, score each size in a process of its own, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000, 1_700_000])
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here is not None:
        print(json.dumps(vars(scored(given.here, given.rows[0]))))
        return
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        raw = pl.concat([pl.read_parquet(part) for part in written(Path(scratch))])
        show([alone(raw.head(rows), Path(scratch)) for rows in given.rows])


def written(folder: Path) -> list[Path]:
    """The parts of a simulated world of 1.75 million transactions."""
    write_raw(World(), 7, folder / "raw")
    return sorted((folder / "raw").rglob("*.parquet"))


def alone(table: pl.DataFrame, folder: Path) -> Scored:
    """The table scored by a process of its own."""
    table.write_parquet(folder / "in.parquet")
    command = [sys.executable, "-W", "ignore", __file__, "--here", str(folder), "--rows", str(table.height)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return Scored(**json.loads(done.stdout.splitlines()[-1]))


def scored(folder: Path, rows: int) -> Scored:
    """Score `folder`/in.parquet in this process."""
    case = read_use_case(ROOT / "use_cases" / "fraud.yaml")
    names = feature_names(case)
    graph = Graph(network(len(names)))
    schema = FeatureSchema(tuple(FeatureColumn(name, fill=0.0) for name in names))
    before, started, processor = peak(), time.perf_counter(), time.process_time()
    source, out = str(folder / "in.parquet"), folder / "out.parquet"
    score_file(case, graph, schema, source, out, now=datetime.now(UTC))
    return Scored(rows, time.perf_counter() - started, time.process_time() - processor, before, peak())


def peak() -> float:
    """Most memory that this process had so far, in MiB (`ru_maxrss` would count what its parent had)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def show(found: list[Scored]) -> None:
    """The table."""
    table = Table(title="batch scoring of 17 features", caption=machine())
    for heading in ("rows", "seconds", "processor seconds", "ratio", "MiB before", "MiB at the most", "ratio"):
        table.add_column(heading, justify="right")
    first = found[0]
    for each in found:
        table.add_row(
            f"{each.rows:,}",
            f"{each.seconds:.1f}",
            f"{each.processor:.1f}",
            f"{each.processor / first.processor:.1f}",
            f"{each.before:.0f}",
            f"{each.peak:.0f}",
            f"{each.peak / first.peak:.1f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
