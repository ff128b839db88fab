"""`python -m sluice_serving.watched FOLDER --model M --version V --keys K`: fetch what a version is watched by.

It runs before a drift server, whose environment holds no registry and trusts nothing but the folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sluice.settings.payloads import Payloads
from sluice.settings.reader import read_section
from sluice.settings.watch import Watch
from sluice.watch.online import write_drift_server
from sluice_serving.exits import REFUSED, exit_code
from sluice_serving.referenced import add_source, fetched


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_serving.watched", description="Before a drift server.")
    add_source(parser)
    parser.add_argument("--watch", type=Path, help="YAML file with what a use case has under watch")
    parser.add_argument("--payloads", type=Path, help="YAML file with what a use case has under payloads")
    return parser


def main(words: list[str]) -> int:
    """Fetch, check and write; the exit code says why that did not work."""
    given = parser().parse_args(words)
    return exit_code(lambda: _write(given), refused=REFUSED)


def _write(given: argparse.Namespace) -> None:
    watch, payloads = read_section(given.watch, Watch), read_section(given.payloads, Payloads)
    write_drift_server(*fetched(given), watch, payloads, given.folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
