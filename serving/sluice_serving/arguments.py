"""The command line of a server: a fetched version's folder, or a model in the store."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

WORK = Path("/var/lib/sluice")
CHAMPION = "champion"


@dataclass(frozen=True)
class Source:
    """Where the version comes from: a folder of this digest, or (`folder` is None) a model's version in the store."""

    folder: Path | None
    digest: str
    model: str
    work: Path


@dataclass(frozen=True)
class Arguments:
    """What a server was told. `keys` is None where the digest alone is trusted, `linger` None for the settings' own."""

    source: Source
    keys: Path | None
    online: Path
    root: Path | None
    pseudonym_key: Path | None
    host: str
    port: int | None
    linger: float | None
    payloads: str | None


def read_arguments(words: list[str]) -> Arguments:
    """The arguments; wrong ones end the process with argparse's message."""
    parser = _parser()
    given = parser.parse_args(words)
    if given.store == (given.folder is not None):
        parser.error("give the folder of a version, or --store")
    if given.store and (not given.model or not given.version or given.digest_only):
        parser.error("--store needs --model, --version and --keys")
    if not given.store and (not given.digest or not given.online):
        parser.error("a folder needs --digest and --online")
    return Arguments(
        source=Source(given.folder, given.version if given.store else given.digest, given.model or "", given.work),
        keys=given.keys,
        online=given.online or given.work / "online",
        root=given.root,
        pseudonym_key=given.pseudonym_key,
        host=given.host,
        port=given.port,
        # A local front moves traffic away before it stops a server; a gateway learns of it a moment too late.
        linger=given.linger if given.linger is not None or given.store else 0.0,
        payloads=given.payloads,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice_serving", description="One version, one process.")
    parser.add_argument("folder", type=Path, nargs="?", help="a version's folder, as the registry fetches it")
    parser.add_argument("--digest", help="the version's digest; anything else is refused")
    parser.add_argument("--store", action="store_true", help="fetch from the store of SLUICE_STORE_URL, …_ENDPOINT")
    parser.add_argument("--model", help="the model's name in the store")
    parser.add_argument("--version", help=f"{CHAMPION}, or a version's digest")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for what is fetched; default: %(default)s")
    parser.add_argument("--online", type=Path, help="the folder of the online store; with --store: in --work")
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--keys", type=Path, help="folder of the public keys (gate.pub) that are trusted")
    trust.add_argument("--digest-only", action="store_true", help="trust the digest without a signature")
    parser.add_argument("--root", type=Path, help="folder of the feature repository's path; default: here")
    parser.add_argument(
        "--pseudonym-key", type=Path, help="file with the secret of hashed columns; default: data.pseudonym_key"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", type=int, help="port to listen on; 0: a free one; default: serving.port")
    parser.add_argument(
        "--linger", type=float, help="seconds to go on after SIGTERM; default: serving.linger with --store, else 0"
    )
    parser.add_argument(
        "--payloads", help="http://host:port of the payload ledger's receiver; token: SLUICE_PAYLOADS_TOKEN"
    )
    return parser
