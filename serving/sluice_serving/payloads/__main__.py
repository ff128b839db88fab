"""`python -m sluice_serving.payloads --spool FOLDER --callers FILE`: the receiver, one process."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry

from sluice.payloads.callers import Callers
from sluice.processes import end_with_caller
from sluice.settings.payloads import Payloads
from sluice.settings.reader import read_section
from sluice.storage import Store, open_store
from sluice_serving.environment import FORWARD_TOKEN, storage_from
from sluice_serving.exits import exit_code
from sluice_serving.listening import listen
from sluice_serving.payloads.application import Application
from sluice_serving.payloads.forwarding import Forwarder
from sluice_serving.payloads.metrics import ReceiverMetrics
from sluice_serving.payloads.receiver import Receiver
from sluice_serving.payloads.shipping import Shipper
from sluice_serving.payloads.spool import Spool
from sluice_serving.saying import Saying

ANSWER_WITHIN = timedelta(seconds=10)
_KEPT_SECONDS = 90
"""A sender's connection may be quiet for this long: Go's client lets go of one after 90 s itself."""
_GRACE_SECONDS, _FORWARD_SECONDS, _SHIP_SECONDS = 10, 5.0, 15.0
"""After SIGTERM: for requests in flight, for what is handed on, and for what is in the spool; the rest stays there."""


def main(words: list[str]) -> int:
    """Take events until told to stop; the exit code says why it did not start."""
    end_with_caller()
    given = _parser().parse_args(words)
    return exit_code(lambda: serve(given))


def serve(given: argparse.Namespace) -> None:
    """Listen and take events until SIGTERM or SIGINT.

    Raises:
        SettingsError, StoreError: settings, callers, spool or store are not what they have to be.
    """
    settings = read_settings(given.settings)
    callers = Callers(given.callers)
    store = open_store(storage_from(os.environ), answer_within=ANSWER_WITHIN)
    spool = Spool(given.spool, settings.remember)
    try:
        _run(settings, callers, store, spool, given)
    finally:
        spool.close()


def read_settings(path: Path | None) -> Payloads:
    """The settings in a YAML file that holds what a use case has under `payloads`; without one, the defaults."""
    return read_section(path, Payloads)


def _run(settings: Payloads, callers: Callers, store: Store, spool: Spool, given: argparse.Namespace) -> None:
    metrics = ReceiverMetrics(CollectorRegistry())
    shipper = Shipper(store, spool, metrics, Saying(sys.stderr))
    forwarder = _forwarder(settings, metrics, given.forward)
    receiver = Receiver(settings, spool, metrics, shipper.wake, *([forwarder.offer] if forwarder else []))

    def end() -> None:
        if forwarder is not None:
            forwarder.close(_FORWARD_SECONDS)
        shipper.finish(_SHIP_SECONDS)

    application = Application(settings, receiver, callers, ships=lambda: shipper.alive, ends=end)
    listener = listen(given.host, given.port)
    config = uvicorn.Config(
        application,
        access_log=False,
        log_level=logging.WARNING,
        lifespan="on",
        timeout_keep_alive=_KEPT_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        server_header=False,
        date_header=False,
    )
    shipper.start()
    address = "http://{}:{}".format(*listener.getsockname()[:2])
    print(json.dumps({"address": address}), flush=True)
    # uvicorn hands a signal on once it has stopped; whoever stops the receiver means no more than that.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)
    uvicorn.Server(config).run([listener])


def _forwarder(settings: Payloads, metrics: ReceiverMetrics, address: str | None) -> Forwarder | None:
    if address is None:
        return None
    token = os.environ.get(FORWARD_TOKEN, "")
    return Forwarder(address, token, metrics.registry, queue_size=settings.queue, senders=settings.senders)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sluice_serving.payloads", description="The payload ledger's receiver; store: SLUICE_STORE_URL …"
    )
    parser.add_argument("--spool", type=Path, required=True, help="folder on a volume that outlives the process")
    parser.add_argument("--callers", type=Path, required=True, help="file of who may write; docs/payload-ledger.md")
    parser.add_argument("--settings", type=Path, help="YAML with what a use case has under `payloads`")
    parser.add_argument(
        "--forward",
        metavar="URL",
        help=f"http://host:port that durable events are handed on to; token: {FORWARD_TOKEN}",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0: a free one")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
