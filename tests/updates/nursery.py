"""Updaters as processes that can be killed, forked from one that has imported everything and runs no thread.

As a program: reads a JSON line for each thing to do, answers with one, and takes its children along when it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sluice.settings import UseCase


class Nursery:
    """The process that updaters are forked from."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, use_cases: Sequence[UseCase], work: Path, name: str) -> int:
        """A running updater's process id."""
        settings = [use_case.model_dump(mode="json", by_alias=True) for use_case in use_cases]
        return int(self._ask(start=settings, work=str(work), name=name))

    def end(self, pid: int, how: signal.Signals = signal.SIGKILL) -> int:
        """End it with a signal, wait for it, and give its exit status."""
        return int(self._ask(end=pid, signal=int(how)))

    def close(self) -> None:
        """End it with all that is left."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, **words: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _main() -> None:
    from sluice.features.quick import quick_feast

    quick_feast()
    # Feast imports it with the first configuration that it checks: two seconds of each life.
    import feast.infra.offline_stores.dask  # noqa: F401

    from sluice_serving.updater import building

    children: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            pid = os.fork()
            if pid == 0:
                _live(building, asked)
            children.add(pid)
            print(pid, flush=True)
        else:
            os.kill(asked["end"], asked["signal"])
            _, status = os.waitpid(asked["end"], 0)
            children.discard(asked["end"])
            print(os.waitstatus_to_exitcode(status), flush=True)
    for child in children:
        os.kill(child, signal.SIGKILL)


def _live(building: Any, asked: dict[str, Any]) -> None:
    from prometheus_client import CollectorRegistry

    from sluice.settings import parse_use_case

    status = 1
    try:
        use_cases = [parse_use_case(settings) for settings in asked["start"]]
        service = building.build(
            use_cases,
            Path(asked["work"]),
            name=asked["name"],
            registry=CollectorRegistry(),
            say=lambda reason: print(reason, file=sys.stderr) if reason else None,
        )
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
        service.run()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    _main()
