"""`python -m sluice.watch.alibi.explainer FOLDER --predictor URL`: the explainer of one version as a server.

`FOLDER` is what `sluice.watch.explanations.write_explainer` wrote. KServe adds `--model_name`, `--predictor_host` and
`--http_port` to the arguments of an explainer: these are understood as well.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from prometheus_client import CollectorRegistry

from sluice.processes import end_with_caller
from sluice.watch.alibi.application import Application
from sluice.watch.alibi.explaining import Explaining
from sluice.watch.alibi.listening import add_address, listen, serve
from sluice.watch.alibi.metrics import ExplainerMetrics


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice.watch.alibi.explainer", description="Why a score is so.")
    parser.add_argument("folder", type=Path, help="what the version is explained by")
    parser.add_argument("--predictor", help="http://host:port of the server of the same version")
    parser.add_argument("--predictor_host", help="host[:port] of it, as KServe says it")
    parser.add_argument("--model_name", help="KServe's name for the service; the folder says whose explainer it is")
    add_address(parser, "--http_port")
    return parser


def main(words: list[str]) -> int:
    """Serve until SIGTERM or SIGINT. One line of JSON on standard output says where."""
    given = parser().parse_args(words)
    end_with_caller()
    address = given.predictor or (f"http://{given.predictor_host}" if given.predictor_host else None)
    if address is None:
        parser().error("give --predictor")
    warnings.simplefilter("ignore")
    try:
        explaining = Explaining(given.folder)
        listener = listen(given.host, given.port)
    except OSError as error:
        print(f"{error.filename or f'{given.host}:{given.port}'}: {error.strerror}", file=sys.stderr)
        return 1
    application = Application(explaining, address, ExplainerMetrics(CollectorRegistry())).asgi()
    patience = int(explaining.settings["seconds"]) + 1
    serve(application, listener, explaining.model, explaining.version, grace=patience)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
