"""A process whose children write to a registry until they are killed: run by `test_kills.py`.

It imports everything once and opens nothing, so that a fresh writer is a fork away.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import model_signing

from sluice.registry import Keys, Registry, RunLog
from sluice.settings.operation import Storage
from sluice.storage import open_store


def say(line: str) -> None:
    """A line in one piece: writer and starter share the output."""
    os.write(1, f"{line}\n".encode())


def write(url: str, endpoint: str, keys: str, folder: str) -> None:
    """Versions, openings, promotions and runs without end; a line for each promotion that went through."""
    store = open_store(Storage(url=url, endpoint=endpoint or None, allow_http=True))
    registry = Registry(store, "fraud", clock=lambda: datetime.now(UTC), actor="child", keys=Keys.open(Path(keys)))
    runs = RunLog(store, "fraud", clock=lambda: datetime.now(UTC))
    say("ready")
    for number in range(registry.head(), 10**6):
        work = Path(folder) / f"{os.getpid()}-{number}"
        work.mkdir(parents=True)
        (work / "model.onnx").write_bytes(number.to_bytes(4) * 200_000)
        run = runs.start(data_version="d" * 64, settings_digest="5" * 64, seed=number, hyper_parameters={})
        version = registry.add_version(work, {"number": number})
        champion = registry.champion()
        registry.record_opening(f"seal {number}", version=version.digest)
        evidence = {"verdict.json": b'{"format": 1}', "report.html": b"report" * 100_000}
        against = champion.digest if champion else None
        done = registry.settle("promoted", version=version.digest, against=against, evidence=evidence)
        runs.finish(run.id, "promoted", artifacts={"version": version.digest})
        say(f"promoted {done.number} {version.digest}")


def main(arguments: list[str]) -> None:
    """A writer for each line on standard input; when it was killed, a line says so."""
    assert model_signing
    for _ in sys.stdin:
        writer = os.fork()
        if writer == 0:
            write(*arguments)
        say(f"writer {writer}")
        os.waitpid(writer, 0)
        say("ended")


if __name__ == "__main__":
    main(sys.argv[1:])
