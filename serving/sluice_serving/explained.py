"""`python -m sluice_serving.explained FOLDER --model M --version V --keys K`: fetch what a version is explained by.

It runs before an explainer, whose environment holds no registry and trusts nothing but the folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl

from sluice.registry.servable import Servable
from sluice.settings.explanations import Explanations
from sluice.settings.reader import read_section
from sluice.watch.explanations import write_explainer
from sluice_serving.referenced import add_source, with_reference


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_serving.explained", description="Before an explainer.")
    add_source(parser)
    parser.add_argument("--settings", type=Path, help="YAML file with what a use case has under explanations")
    return parser


def main(words: list[str]) -> int:
    """Fetch, check and write; the exit code says why that did not work."""
    given = parser().parse_args(words)

    def write(servable: Servable, reference: pl.DataFrame) -> None:
        write_explainer(servable, reference, read_section(given.settings, Explanations), given.folder)

    return with_reference(given, write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
