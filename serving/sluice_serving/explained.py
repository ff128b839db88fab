"""`python -m sluice_serving.explained FOLDER --model M --version V --keys K`: fetch what a version is explained by.

It runs before an explainer, whose environment holds no registry and trusts nothing but the folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sluice.errors import IntegrityError, SluiceError
from sluice.registry.keys import Keys
from sluice.settings.explanations import Explanations
from sluice.settings.reader import read_section
from sluice.watch.explanations import write_explainer
from sluice.watch.reference import read_reference
from sluice_serving.arguments import CHAMPION, Source
from sluice_serving.fetching import fetch, open_for_reading

REFUSED, FAILED = 3, 1
"""Exit codes: the version is not what digest or signature say; anything else."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice_serving.explained", description="Before an explainer.")
    parser.add_argument("folder", type=Path, help="where it goes")
    parser.add_argument("--model", required=True, help="the model's name in the store of SLUICE_STORE_URL …")
    parser.add_argument("--version", default=CHAMPION, help="a version's digest; default: %(default)s")
    parser.add_argument(
        "--keys", type=Path, required=True, help="folder of the public keys (gate.pub) that are trusted"
    )
    parser.add_argument("--settings", type=Path, help="YAML file with what a use case has under explanations")
    return parser


def main(words: list[str]) -> int:
    """Fetch, check and write; the exit code says why that did not work."""
    given = parser().parse_args(words)
    try:
        settings = read_section(given.settings, Explanations)
        keys = Keys.open(given.keys)
        source = Source(None, given.version, given.model, given.folder.parent)
        registry = open_for_reading(source, keys, os.environ)
        servable = fetch(registry, source.digest, source.work, keys)
        write_explainer(servable, read_reference(registry, servable.digest), settings, given.folder)
    except IntegrityError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except (SluiceError, OSError) as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
