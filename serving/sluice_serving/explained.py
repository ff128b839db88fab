"""`python -m sluice_serving.explained FOLDER --model M --version V --keys K`: fetch what a version is explained by.

It runs before an explainer, whose environment holds no registry and trusts nothing but the folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sluice.settings.explanations import Explanations
from sluice.settings.reader import read_section
from sluice.watch.explanations import write_explainer
from sluice_serving.exits import REFUSED, exit_code
from sluice_serving.referenced import add_source, fetched, opened


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_serving.explained", description="Before an explainer.")
    add_source(parser)
    parser.add_argument("--settings", type=Path, help="YAML file with what a use case has under explanations")
    return parser


def main(words: list[str]) -> int:
    """Fetch, check and write; the exit code says why that did not work."""
    given = parser().parse_args(words)
    return exit_code(lambda: _write(given), refused=REFUSED)


def _write(given: argparse.Namespace) -> None:
    settings = read_section(given.settings, Explanations)
    write_explainer(*fetched(opened(given), given), settings, given.folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
