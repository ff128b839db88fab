"""How the results of a run and of a replay look in a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from sluice_cli.console import out

if TYPE_CHECKING:
    from sluice_serving.replay import Replayed


def show(folder: Path) -> None:
    """Print a finished run: verdict, decision and where to look."""
    from sluice.gate.verdict import Verdict

    out.print(Verdict.from_document(json.loads((folder / "verdict.json").read_text())).table())
    decided = json.loads((folder / "decision.json").read_text())
    out.print(f"[bold]{decided['kind']}[/]: {decided['reason']}")
    if decided["kind"] == "cleared":
        out.print("it has no traffic yet: `sluice rollout` gives it some, step by step (docs/rollout.md)")
    out.print(f"report {_relative(folder / 'report.html')}   card {_relative(folder / 'card.html')}")


def show_replay(replayed: Replayed) -> None:
    """Print what the endpoint answered, compared with history."""
    table = Table(show_header=False)
    table.add_row("requests", f"{replayed.requests:,} in {replayed.seconds:.1f} s")
    table.add_row("features equal to history, bit for bit", f"{replayed.features_equal:.2%}")
    table.add_row("scores equal to history, within 1e-6", f"{replayed.scores_equal:.2%}")
    table.add_row("p50 / p95 / p99", f"{replayed.p50_ms:.2f} / {replayed.p95_ms:.2f} / {replayed.p99_ms:.2f} ms")
    table.add_row("requests a second, one client", f"{replayed.requests_per_second:,.0f}")
    flagged = ", ".join(f"{name} {count:,}" for name, count in replayed.flags.items() if count)
    table.add_row("flagged in the answers", flagged or "none")
    out.print(table)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
