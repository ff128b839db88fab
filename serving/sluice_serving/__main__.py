"""`python -m sluice_serving FOLDER --digest D --online FOLDER`: one version, one process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sluice.errors import IntegrityError, SluiceError

REFUSED, FAILED = 3, 1
"""Exit codes: the version is not what digest or signature say; anything else that keeps the server from starting."""


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code says why it did not start."""
    given = _parser().parse_args(arguments)
    # KServe reads the command line when it is imported, and would stumble over ours.
    sys.argv = sys.argv[:1]
    try:
        from sluice_serving.server import serve

        serve(given.folder, given.digest, given.online, host=given.host, port=given.port, announce=sys.stdout)
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
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", type=int, help="port to listen on; 0: a free one; default: serving.port")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
