"""Monitoring: days to detection against false alarms, and what an explanation takes, against plain ways.

    python bench/monitoring.py [--seeds 20] [--cards 200] [--days 14] [--keep FOLDER] [--only drift] [--quiet]

Drift: by seed a small simulated world serves the use case's trees, and changes seven days after training, in one of
several ways or not at all. Each day the last window of the settings' length is compared with the version's reference
by the detectors of production. An alarm counts from the change to the end of its day; the line's quiet world says what
chance alone gives. The plain way takes each feature's p-value by itself. `--keep` keeps what was measured by seed, and
measures only the seeds that are missing there. `--quiet` asks for false alarms alone, in worlds that stay as they are.

Explanations: bench/explainers.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from drift_alarms import ALARMS, RESULT, Seed, alarm_table, at_one_rate, read_seeds
from drift_worlds import ROOT, use_case, write_worlds
from explainers import measure_explainers
from machine import machine
from rich.console import Console

from sluice.watch import door


def main() -> None:
    """Measure, print."""
    given = _arguments()
    console = Console(width=140)
    console.print(machine())
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        if given.only != "explainers":
            folder = given.keep or Path(scratch) / "drift"
            show(console, measure_drift(folder, given), given)
        if given.only != "drift":
            console.print(measure_explainers(Path(scratch) / "explained", given))


def measure_drift(folder: Path, given: argparse.Namespace) -> list[Seed]:
    """Each seed's worlds, then the detectors over all of them in one process of the other environment."""
    case = use_case(given.reference)
    for seed in range(given.seeds):
        place = folder / f"seed-{seed:03d}"
        if not (place / "request.json").exists():
            write_worlds(place, case, seed, given.cards, given.days, quiet=given.quiet)
            print(f"{place.name}: worlds", file=sys.stderr, flush=True)
    command = [str(door.interpreter()), "-W", "ignore", "bench/drift_distances.py", str(folder), RESULT]
    subprocess.run(command, cwd=ROOT, env=door.environment(), check=True, stdout=sys.stderr)
    return read_seeds(folder)


def show(console: Console, seeds: list[Seed], given: argparse.Namespace) -> None:
    """Both tables."""
    rate = seeds[0]["settings"]["alarm_rate"]
    told = f"{len(seeds)} seeds, {given.cards} cards, a window of {seeds[0]['length']} days looked at each day"
    found = f"median days to an alarm, worlds that have one within {given.days} days"
    console.print(alarm_table(f"Detectors at the use case's settings: {found} ({told})", seeds, ALARMS))
    title = f"The same distances, each with the threshold at which {rate:.0%} of these quiet days alarm"
    console.print(alarm_table(title, seeds, at_one_rate(seeds)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cards", type=int, default=200, help="in each world; there are twice as many terminals")
    parser.add_argument("--days", type=int, default=14, help="after a change, in which it may be found")
    parser.add_argument("--reference", type=int, default=2500, help="rows of the version's reference")
    parser.add_argument("--rows", type=int, default=5, help="rows to explain, those of the highest scores")
    parser.add_argument("--plain-rows", type=int, default=1, help="of them in the plain ways, which take long")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds after which a plain way is given up")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where seeds are kept, to go on later")
    parser.add_argument("--quiet", action="store_true", help="only worlds in which nothing changes")
    parser.add_argument("--only", choices=("drift", "explainers"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
