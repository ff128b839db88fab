"""`python -m sluice_serving.watched FOLDER --model M --version V --keys K`: fetch what a version is watched by.

It runs before a drift server, whose environment holds no registry and trusts nothing but the folder; with `--follow`
also beside it, and writes anew when another version is live.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sluice.errors import SluiceError
from sluice.settings.payloads import Payloads
from sluice.settings.reader import read_section
from sluice.settings.watch import Watch
from sluice.watch.online import write_drift_server
from sluice_serving.arguments import CHAMPION
from sluice_serving.exits import REFUSED, exit_code
from sluice_serving.referenced import add_source, fetched, opened


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_serving.watched", description="Before a drift server.")
    add_source(parser)
    parser.add_argument("--watch", type=Path, help="YAML file with what a use case has under watch")
    parser.add_argument("--payloads", type=Path, help="YAML file with what a use case has under payloads")
    parser.add_argument("--follow", action="store_true", help="write again whenever another version is the champion")
    return parser


def main(words: list[str]) -> int:
    """Fetch, check and write; the exit code says why that did not work."""
    options = parser()
    given = options.parse_args(words)
    if given.follow and given.version != CHAMPION:
        options.error("--follow is for the champion, whichever that is")
    return exit_code(lambda: _write(given), refused=REFUSED)


def _write(given: argparse.Namespace) -> None:
    watch, payloads = read_section(given.watch, Watch), read_section(given.payloads, Payloads)
    registry = opened(given)

    def written() -> str:
        servable, reference = fetched(registry, given)
        write_drift_server(servable, reference, watch, payloads, given.folder)
        return servable.digest

    watched = written()
    while given.follow:
        time.sleep(watch.online.follow.total_seconds())
        # A store that does not answer is asked again.
        try:
            if registry.state().champion not in (None, watched):
                watched = written()
                print(f"version {watched[:12]} is live: its answers are watched from now on", flush=True)
        except (SluiceError, OSError) as error:
            print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
