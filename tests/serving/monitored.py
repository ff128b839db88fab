"""A store with a signed champion, windows that a monitor recorded, and an exporter as a process over it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from serving_world import linear_graph
from stored_world import plain

from sluice import digests
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.registry.keys import Keys
from sluice.registry.registry import Registry
from sluice.settings.operation import Storage
from sluice.storage import open_store
from sluice.watch.records import record_window
from tests.manifests.recorded import window


class Monitored:
    """A model in a folder.

    Attributes:
        now: what the registry's clock says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.use_case, self.now = folder, plain(), datetime.now(UTC)
        folder.mkdir()
        self.file = folder / "use_case.yaml"
        self.file.write_text(self.use_case.model_dump_json(by_alias=True))
        self.place = folder / "store"
        self.keys = Keys.ensure(folder / "keys")
        store = open_store(Storage(url=str(self.place)))
        self.registry = Registry(store, "fraud", clock=lambda: self.now, actor="test", keys=self.keys)
        self.version = self.promote(0)

    def promote(self, seed: int, evidence: dict[str, Path | bytes] | None = None) -> str:
        """Make a version the champion; its digest."""
        files = self.folder / f"files-{seed}"
        files.mkdir()
        (files / "model.onnx").write_bytes(linear_graph(self.use_case, 1, seed))
        (files / "schema.json").write_bytes(
            digests.canonical_json(FeatureSchema((FeatureColumn("amount", fill=0.0),)).document())
        )
        (files / "settings.json").write_text(self.use_case.model_dump_json(by_alias=True))
        digest = self.registry.add_version(files, {"seed": seed}).digest
        head = self.registry.head()
        self.registry.decide("promoted", version=digest, expected_head=head, reason="test", evidence=evidence)
        self.version = digest
        return digest

    def record(self, end: datetime, **found: object) -> None:
        """Record a window of the champion."""
        record_window(self.registry.store, window(self.version, end, **found))  # type: ignore[arg-type]

    @contextmanager
    def exporter(self, *words: str) -> Iterator[str]:
        """A real exporter; its address."""
        command = [sys.executable, "-m", "sluice_serving.exporter", str(self.file), "--store", str(self.place)]
        command += ["--keys", str(self.keys.folder), "--every", "0.1", *words]
        log = (self.folder / "exporter.log").open("ab")
        with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())["address"]
            finally:
                process.terminate()
                assert process.wait() == 0


def scraped(address: str) -> dict[tuple[str, str], float]:
    """The samples of a scrape: by name and by the values of the labels that tell them apart, sorted and joined."""
    families = text_string_to_metric_families(httpx.get(f"{address}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    apart = [(s, sorted(v for k, v in s.labels.items() if k not in ("model", "version"))) for s in samples]
    return {(sample.name, " ".join(values)): sample.value for sample, values in apart}
