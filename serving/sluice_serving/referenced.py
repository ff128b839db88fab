"""A version and its reference, fetched and checked for a server whose environment holds no registry."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import polars as pl

from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.registry.servable import Servable
from sluice.watch.reference import read_reference
from sluice_serving.arguments import CHAMPION, Source
from sluice_serving.fetching import fetch, open_for_reading


def add_source(parser: argparse.ArgumentParser) -> None:
    """What is fetched, and where it goes."""
    parser.add_argument("folder", type=Path, help="where it goes")
    parser.add_argument("--model", required=True, help="the model's name in the store of SLUICE_STORE_URL …")
    parser.add_argument("--version", default=CHAMPION, help="a version's digest; default: %(default)s")
    parser.add_argument(
        "--keys", type=Path, required=True, help="folder of the public keys (gate.pub) that are trusted"
    )


def opened(given: argparse.Namespace) -> Registry:
    """The registry of what `add_source` names.

    Raises:
        SluiceError: keys, environment, credentials or the model's name are wrong.
    """
    source = Source(None, given.version, given.model, given.folder.parent)
    return open_for_reading(source, Keys.open(given.keys), os.environ)


def fetched(registry: Registry, given: argparse.Namespace) -> tuple[Servable, pl.DataFrame]:
    """What `add_source` names, checked: the version and its reference.

    Raises:
        IntegrityError: it is not what digest or signature say. SluiceError, OSError: it cannot be had.
    """
    servable = fetch(registry, given.version, given.folder.parent, Keys.open(given.keys))
    return servable, read_reference(registry, servable.digest)
