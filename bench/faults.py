"""Faults that the loop survives: each is really injected, into the real commands and a store that they filled.

    python bench/faults.py [--only NAME]… [--list] [--markdown]

A fault is survived when the loop says what is wrong or goes on, the store is sound afterwards (`sluice verify`: every
digest, the log's chain, every signature), and no decision that was confirmed is lost. The exit status is 1 when one is
not survived. The world is small: 62 days of 400 cards; `--only` takes a part of a fault's name.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from faulted import data, runs, serving, store, tampering, training
from faulted.fault import Fault, Outcome, survive
from faulted.place import Place
from machine import machine
from rich.console import Console
from rich.table import Table

FAULTS: list[Fault] = [
    *runs.KILLS,
    *data.FAULTS,
    *tampering.FAULTS,
    *store.FAULTS,
    *training.FAULTS,
    *serving.FAULTS,
    *runs.FAULTS,
]


def main() -> int:
    """Inject them one after another; the exit status."""
    given = _arguments()
    chosen = [fault for fault in FAULTS if not given.only or any(name in fault.name for name in given.only)]
    if given.list or not chosen:
        print("\n".join(fault.name for fault in FAULTS))
        return 0 if given.list else 2
    started = time.perf_counter()
    with TemporaryDirectory(prefix="sluice-faults-") as folder:
        place = Place.make(Path(folder))
        outcomes = [_told(survive(fault, place), number, len(chosen)) for number, fault in enumerate(chosen, 1)]
    seconds = time.perf_counter() - started
    (_print_markdown if given.markdown else _print_table)(outcomes)
    survived = sum(outcome.status == "survived" for outcome in outcomes)
    skipped = sum(outcome.status == "skipped" for outcome in outcomes)
    print(f"{survived} of {len(outcomes)} faults survived, {skipped} skipped, {seconds:.0f} s on {machine()}")
    return 0 if survived + skipped == len(outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="faults whose name holds this; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the faults and do nothing")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/benchmarks.md takes it")
    return parser.parse_args()


def _told(outcome: Outcome, number: int, total: int) -> Outcome:
    line = f"{number}/{total} {outcome.fault.name}: {outcome.status}, {outcome.happened} ({outcome.seconds:.0f} s)"
    print(line, file=sys.stderr, flush=True)
    return outcome


def _print_table(outcomes: list[Outcome]) -> None:
    table = Table("fault", "expected", "what happened", "", title="Faults", show_lines=True)
    colours = {"survived": "green", "skipped": "yellow"}
    for each in outcomes:
        status = f"[{colours.get(each.status, 'red')}]{each.status}[/]"
        table.add_row(each.fault.name, each.fault.expected, each.happened.replace("[", "\\["), status)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _print_markdown(outcomes: list[Outcome]) -> None:
    print("| Fault | Expected | What happened | |\n|---|---|---|---|")
    for each in outcomes:
        print(f"| {each.fault.name} | {each.fault.expected} | {each.happened.replace('|', '/')} | {each.status} |")
    print()


if __name__ == "__main__":
    sys.exit(main())
