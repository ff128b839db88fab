"""`python -m sluice.watch.alibi.explainer FOLDER --predictor URL`: the explainer of one version as a server.

`FOLDER` is what `sluice.watch.explanations.write_explainer` wrote. KServe adds `--model_name`, `--predictor_host` and
`--http_port` to the arguments of an explainer: these are understood as well.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import warnings
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry

from sluice.processes import end_with
from sluice.watch.alibi.application import Application
from sluice.watch.alibi.explaining import Explaining
from sluice.watch.alibi.metrics import ExplainerMetrics

PORT = 8080


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sluice.watch.alibi.explainer", description="Why a score is so.")
    parser.add_argument("folder", type=Path, help="what the version is explained by")
    parser.add_argument("--predictor", help="http://host:port of the server of the same version")
    parser.add_argument("--predictor_host", help="host[:port] of it, as KServe says it")
    parser.add_argument("--model_name", help="KServe's name for the service; the folder says whose explainer it is")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", "--http_port", type=int, default=PORT, help="0: a free one; default: %(default)s")
    parser.add_argument("--caller", type=int, help="end when this process, which started it, ends")
    return parser


def main(words: list[str]) -> int:
    """Serve until SIGTERM or SIGINT. One line of JSON on standard output says where."""
    given = parser().parse_args(words)
    if given.caller is not None:
        end_with(given.caller)
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
    where = "http://{}:{}".format(*listener.getsockname()[:2])
    print(json.dumps({"address": where, "model": explaining.model, "version": explaining.version}), flush=True)
    patience = int(explaining.settings["seconds"]) + 1
    config = uvicorn.Config(application, access_log=False, log_level="warning", timeout_graceful_shutdown=patience)
    uvicorn.Server(config).run([listener])
    return 0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
