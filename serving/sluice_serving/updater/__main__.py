"""`python -m sluice_serving.updater USE_CASE.yaml …`: keep state fresh until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from sluice.features.quick import quick_feast
from sluice_serving.exits import exit_code

WORK = Path("/var/lib/sluice")


def main(words: list[str]) -> int:
    """Run the updater; the exit code says whether it started."""
    given = parser().parse_args(words)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> None:
    quick_feast()
    from prometheus_client import REGISTRY

    from sluice.settings import read_use_case
    from sluice_serving.environment import with_redis
    from sluice_serving.saying import Saying
    from sluice_serving.updater.building import build, with_service
    from sluice_serving.updater.health import Health

    use_case = with_redis(read_use_case(given.use_case, {}, given.overlay), os.environ)
    services = given.service or [str(use_case.features.service)]
    key = given.pseudonym_key.read_bytes() if given.pseudonym_key else None
    service = build(
        [with_service(use_case, name) for name in services],
        given.work / "updater",
        name=given.name,
        registry=REGISTRY,
        say=Saying(sys.stderr),
        root=given.root,
        pseudonym_key=key,
    )
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: service.stop())
    health = Health(given.host, given.port, REGISTRY, lambda: service.why_not_ready, service.is_alive)
    said: dict[str, Any] = {"address": health.address, "services": services, "name": given.name}
    print(json.dumps(said), flush=True)
    try:
        service.run()
    finally:
        health.close()


def parser() -> argparse.ArgumentParser:
    """The command line of an updater."""
    words = argparse.ArgumentParser(prog="python -m sluice_serving.updater", description="State from a stream.")
    words.add_argument("use_case", type=Path, help="a use case file")
    words.add_argument("--overlay", type=Path, action="append", default=[], help="settings laid over the file's")
    words.add_argument(
        "--service", action="append", help="a feature service to keep fresh, once or more; default: the use case's"
    )
    words.add_argument("--work", type=Path, default=WORK, help="folder for Feast's register; default: %(default)s")
    words.add_argument("--root", type=Path, help="folder of the feature repository's path; default: here")
    words.add_argument("--name", default=socket.gethostname(), help="by which it holds partitions; default: the host's")
    words.add_argument(
        "--pseudonym-key", type=Path, help="file with the secret of hashed columns; default: data.pseudonym_key"
    )
    words.add_argument("--host", default="127.0.0.1", help="address of probes and metrics (0.0.0.0 in a container)")
    words.add_argument("--port", type=int, default=0, help="port of probes and metrics; 0: a free one")
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
