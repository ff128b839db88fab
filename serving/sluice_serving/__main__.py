"""`python -m sluice_serving FOLDER --digest D …` or `--store --model M --version V …`: one version, one process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from sluice.features.quick import quick_feast
from sluice.processes import end_with_caller
from sluice.registry.keys import Keys
from sluice.registry.servable import load_servable
from sluice_serving.arguments import Arguments, read_arguments
from sluice_serving.environment import PAYLOADS_TOKEN, with_redis
from sluice_serving.exits import REFUSED, exit_code
from sluice_serving.fetching import fetch, open_for_reading, patiently
from sluice_serving.listening import listen
from sluice_serving.saying import Saying
from sluice_serving.waiting import WaitingRoom

T = TypeVar("T")
STORE_PORT = 8080


class Stopped(BaseException):
    """The server was told to stop before it served."""


def main(words: list[str]) -> int:
    """Serve until told to stop; the exit code says why it did not start."""
    end_with_caller()
    given = read_arguments(words)
    # KServe reads the command line when it is imported, and would stumble over ours.
    sys.argv = sys.argv[:1]
    serve_it = _serve_folder if given.source.folder else _serve_from_store
    try:
        return exit_code(lambda: serve_it(given), refused=REFUSED)
    except Stopped:
        return 0


def _serve_folder(given: Arguments) -> None:
    assert given.source.folder is not None
    keys = Keys.open(given.keys) if given.keys else None
    servable = load_servable(given.source.folder, given.source.digest, keys)
    # The rest is slow to import, and a refusal needs none of it.
    quick_feast()
    from sluice_serving.server import serve

    port = servable.use_case.serving.port if given.port is None else given.port
    serve(servable, given.online, lambda: listen(given.host, port), **_common(given))


def _serve_from_store(given: Arguments) -> None:
    """Listens at once; until the version is here the server is alive and not ready."""
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, _stop)
    assert given.keys is not None
    keys = Keys.open(given.keys)
    registry = open_for_reading(given.source, keys, os.environ)
    room = WaitingRoom(listen(given.host, STORE_PORT if given.port is None else given.port))
    saying = Saying(sys.stderr)

    def say(reason: str) -> None:
        room.why = reason
        saying(reason)

    source = given.source
    servable = _in_background(lambda: patiently(lambda: fetch(registry, source.digest, source.work, keys), say))
    room.why = "starting"
    quick_feast()
    from sluice_serving.server import serve

    servable = replace(servable, use_case=with_redis(servable.use_case, os.environ))
    serve(servable, given.online, room.leave, **_common(given))


def _common(given: Arguments) -> dict[str, Any]:
    key = given.pseudonym_key.read_bytes() if given.pseudonym_key else None
    token = os.environ.get(PAYLOADS_TOKEN, "")
    return {
        "root": given.root,
        "linger": given.linger,
        "announce": sys.stdout,
        "payloads": given.payloads,
        "payloads_token": token,
        "pseudonym_key": key,
    }


def _in_background(work: Callable[[], T]) -> T:
    """What `work` gives, from a thread: this one hears signals meanwhile, however long the store takes to answer."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="fetching", daemon=True).start()
    return outcome.result()


def _stop(*_: Any) -> NoReturn:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
