"""`python -m sluice.watch.alibi.drift_server FOLDER --callers FILE`: the drift server of one version.

`FOLDER` is what `sluice.watch.online.write_drift_server` wrote. It knows what came since its start, nothing more. When
the folder holds another version it ends, with status 0: who runs it starts it again.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from prometheus_client import CollectorRegistry

from sluice.errors import SluiceError
from sluice.payloads.callers import Callers
from sluice.processes import end_with_caller
from sluice.watch.alibi.drift_application import DriftApplication
from sluice.watch.alibi.drift_metrics import DriftMetrics
from sluice.watch.alibi.listening import add_address, listen, serve
from sluice.watch.alibi.online import Online
from sluice.watch.alibi.watching import Watching

_GRACE_SECONDS, _KEPT_SECONDS = 5, 90
"""For requests in flight; and so long a sender's connection may be quiet: Go's client then lets go of it itself."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice.watch.alibi.drift_server", description="Drift as it comes.")
    parser.add_argument("folder", type=Path, help="what the version is watched by")
    parser.add_argument("--callers", type=Path, required=True, help="file of who may send; docs/payload-ledger.md")
    add_address(parser)
    return parser


def main(words: list[str]) -> int:
    """Serve until SIGTERM, SIGINT or another version. One line of JSON on standard output says where."""
    given = parser().parse_args(words)
    end_with_caller()
    warnings.simplefilter("ignore")
    try:
        callers, online = Callers(given.callers), Online(given.folder)
        listener = listen(given.host, given.port)
    except OSError as error:
        print(f"{error.filename or f'{given.host}:{given.port}'}: {error.strerror}", file=sys.stderr)
        return 1
    except SluiceError as error:
        print(error, file=sys.stderr)
        return 1
    metrics = DriftMetrics(CollectorRegistry(), online.model, online.version)
    watching = Watching(online, metrics)
    application = DriftApplication(online, watching, callers, metrics).asgi()
    serve(
        application,
        listener,
        online.model,
        online.version,
        grace=_GRACE_SECONDS,
        keep_alive=_KEPT_SECONDS,
        is_over=online.is_over,
    )
    watching.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
