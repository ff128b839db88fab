"""`python -m sluice_serving FOLDER --digest D --keys FOLDER --online FOLDER`: one version, one process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sluice.errors import IntegrityError, SluiceError
from sluice.features.quick import quick_feast
from sluice.registry.keys import Keys
from sluice_serving.version import load_servable

REFUSED, FAILED = 3, 1
"""Exit codes: the version is not what digest or signature say; anything else that keeps the server from starting."""


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code says why it did not start."""
    given = _parser().parse_args(arguments)
    # KServe reads the command line when it is imported, and would stumble over ours.
    sys.argv = sys.argv[:1]
    try:
        keys = None if given.digest_only else Keys.open(given.keys)
        servable = load_servable(given.folder, given.digest, keys)
        # The rest is slow to import, and a refusal needs none of it.
        quick_feast()
        from sluice_serving.server import serve

        serve(
            servable,
            given.online,
            host=given.host,
            port=given.port,
            root=given.root,
            announce=sys.stdout,
            pseudonym_key=given.pseudonym_key.read_bytes() if given.pseudonym_key else None,
        )
    except IntegrityError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except (SluiceError, OSError) as error:
        print(error, file=sys.stderr)
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluice_serving", description=__doc__)
    parser.add_argument("folder", type=Path, help="a version's folder, as the registry fetches it")
    parser.add_argument("--digest", required=True, help="the version's digest; anything else is refused")
    parser.add_argument("--online", required=True, type=Path, help="the folder of the online store")
    trust = parser.add_mutually_exclusive_group(required=True)
    trust.add_argument("--keys", type=Path, help="folder of the public keys (gate.pub) that are trusted")
    trust.add_argument("--digest-only", action="store_true", help="trust the digest without a signature")
    parser.add_argument("--root", type=Path, help="folder of the feature repository's path; default: here")
    parser.add_argument("--pseudonym-key", type=Path, help="file with the secret for hashed personal columns")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", type=int, help="port to listen on; 0: a free one; default: serving.port")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
