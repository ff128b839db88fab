"""What the servers of this environment share: their address, and serving there until told to stop."""

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

PORT = 8080
_ASK_SECONDS = 2.0


def add_address(parser: argparse.ArgumentParser, *ports: str) -> None:
    """Where it listens; `ports` are other names of `--port`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", *ports, type=int, default=PORT, help="0: a free one; default: %(default)s")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def serve(
    application: Starlette,
    listener: socket.socket,
    model: str,
    version: str,
    *,
    grace: int,
    keep_alive: int = 5,
    is_over: Callable[[], bool] | None = None,
) -> None:
    """Say in one line of JSON on standard output where, and serve until SIGTERM, SIGINT, or `is_over()`.

    Args:
        grace: seconds for requests in flight.
        keep_alive: seconds for which a connection may be quiet.
    """
    where = "http://{}:{}".format(*listener.getsockname()[:2])
    print(json.dumps({"address": where, "model": model, "version": version}), flush=True)
    config = uvicorn.Config(
        application,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=grace,
    )
    server = uvicorn.Server(config)
    if is_over is not None:
        threading.Thread(target=_end, args=(server, is_over), name="over", daemon=True).start()
    server.run([listener])


def _end(server: uvicorn.Server, is_over: Callable[[], bool]) -> None:
    while not is_over():
        time.sleep(_ASK_SECONDS)
    server.should_exit = True
