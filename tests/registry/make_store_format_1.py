"""Made `tests/registry/store-format-1/`, which this and every later release must read.

    python tests/registry/make_store_format_1.py

Never run it again for format 1: a release that writes another format adds a folder and a script of its own.
"""

from __future__ import annotations

import io
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from sluice.registry import Keys, Registry, RunLog, forget
from sluice.settings.operation import Storage
from sluice.storage import open_store

HERE = Path(__file__).parent / "store-format-1"


class Clock:
    """A minute goes by at each look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time."""
        self.now += timedelta(minutes=1)
        return self.now


def main() -> None:
    """Two versions, an approval, a rollback, a pin, a forgotten person and two runs."""
    if HERE.exists():
        raise SystemExit(f"{HERE} is there already, and stays")
    clock = Clock()
    store = open_store(Storage(url=str(HERE / "store")))
    with TemporaryDirectory() as scratch:
        keys = Keys.ensure(Path(scratch) / "keys")
        registry = Registry(store, "fraud", clock=clock, actor="gate", keys=keys)
        runs = RunLog(store, "fraud", clock=clock)
        a, b = (_version(registry, Path(scratch), name) for name in "ab")
        run = runs.start(data_version="d" * 64, settings_digest="5" * 64, seed=7, hyper_parameters={"trees": {"n": 1}})
        registry.record_opening("5ea1" * 16, version=a)
        evidence = {"verdict.json": _verdict(), "sealed_scores.parquet": _scores()}
        registry.settle("promoted", version=a, against=None, evidence=evidence, figures={"gain": 0.01})
        runs.finish(run.id, "promoted", metrics={"average_precision": 0.7}, artifacts={"version": a})
        runs.start(data_version="d" * 64, settings_digest="5" * 64, seed=8, hyper_parameters={})
        registry.settle("awaiting-approval", version=b, against=a, evidence={"verdict.json": _verdict()})
        registry.approve(reason="reviewed with the fraud team")
        registry.rollback(reason="complaints from the call centre")
        registry.pin(reason="audit until May")
        forget(registry, entity="card", key="person one", reason="request 17")
        shutil.copyfile(keys.folder / "gate.pub", _made(HERE / "keys") / "gate.pub")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _version(registry: Registry, scratch: Path, name: str) -> str:
    folder = _made(scratch / name)
    (folder / "model.onnx").write_text(f"graph {name}")
    (folder / "card.md").write_text(f"# Version {name}\n")
    return registry.add_version(folder, {"settings": name}).digest


def _verdict() -> bytes:
    return b'{"checks":[{"name":"champion","passed":true,"text":"AP +.010 (.002 to .018)"}],"format":1,"passed":true}'


def _scores() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"event_id": ["1", "2"], "card": ["person one", "person two"], "score": [0.1, 0.9]}).write_parquet(
        buffer
    )
    return buffer.getvalue()


if __name__ == "__main__":
    main()
