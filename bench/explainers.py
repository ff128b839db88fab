"""What an explanation takes through a real predictor: KernelSHAP and anchors, ours and plainly.

The predictor is a server process of the use case's trees, trained on a small simulated world; it is asked over HTTP as
in production. Explained are the rows of the highest scores. "A vector a call" asks the same as ours in calls of one
vector; "the library's defaults" names no samples, batches or limits, and takes 100 background rows, the most that
the library takes without a warning. Processor seconds are of explainer and predictor together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drift_worlds import ROOT, use_case, write_worlds
from rich.table import Table

from serving import server
from sluice.features.schema import to_matrix
from sluice.registry.servable import Servable, load_servable
from sluice.registry.signing import read_folder
from sluice.settings import UseCase
from sluice.watch import door
from sluice.watch.alibi.files import VECTORS
from sluice.watch.explanations import write_explainer

COLUMNS = ("", "seconds, median", "most", "processor s", "calls", "vectors", "ratio of processor s", "explained")


def measure_explainers(folder: Path, given: argparse.Namespace) -> Table:
    """A world, its version in a server, all ways; the table."""
    case = use_case(given.reference)
    graph = write_worlds(folder / "world", case, case.seed, given.cards, 1, quiet=True)
    reference = pl.read_parquet(folder / "world" / "reference.parquet")
    names = [column["name"] for column in json.loads((folder / "world/request.json").read_text())["schema"]["columns"]]
    with server(case, folder / "served", folder / "online", graph, names) as running:
        version = folder / "served" / "version"
        servable = load_servable(version, read_folder(version).digest)
        write_explainer(servable, reference, case.explanations, folder / "explainer")
        highest(servable, folder / "world" / "0.parquet", given.rows).write_parquet(folder / "explainer" / VECTORS)
        asked = {"predictor": running.address, "process": running.process.pid}
        limits = {"plain_rows": given.plain_rows, "patience": given.patience}
        return explanations_table(case, explained(folder / "explainer", {**asked, **limits}))


def highest(servable: Servable, rows: Path, count: int) -> pl.DataFrame:
    """The rows of the highest scores, as the graph takes them."""
    top = pl.read_parquet(rows).sort("score", descending=True).head(count)
    return pl.DataFrame(to_matrix(servable.schema, top), schema=list(servable.schema.names), orient="row")


def explained(folder: Path, request: dict[str, Any]) -> list[dict[str, Any]]:
    """What `bench/explanations.py` measures in the other environment."""
    command = [str(door.interpreter()), "-W", "ignore", "-m", "bench.explanations", str(folder), json.dumps(request)]
    done = subprocess.run(
        command, cwd=ROOT, env=door.environment(), check=True, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def explanations_table(case: UseCase, ways: list[dict[str, Any]]) -> Table:
    """A line a method and way; ratios are to the settings' way of the same method."""
    budget = case.explanations
    title = f"one row's explanation; the settings' budget: {budget.calls} calls, {budget.seconds.total_seconds():g} s"
    table = Table(title=title)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    ours = 1.0
    for way in ways:
        rows = way["rows"]
        middle = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
        if way["way"].startswith("ours, the settings"):
            ours = middle["processor"]
        most, finished = max(row["seconds"] for row in rows), sum(row["finished"] for row in rows)
        cells = f"{middle['seconds']:.2f}", f"{most:.2f}", f"{middle['processor']:.2f}"
        counts = f"{middle['calls']:,.0f}", f"{middle['vectors']:,.0f}", f"{middle['processor'] / ours:.1f}"
        table.add_row(f"{way['method']}: {way['way']}", *cells, *counts, f"{finished} of {len(rows)}")
    return table
