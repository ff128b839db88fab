"""A version with a made-up reference, its drift server as a real process, and answers to send to it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
import polars as pl
from payload_world import RESPONSE, Sender, named
from prometheus_client.parser import text_string_to_metric_families

from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.payloads.callers import admit
from sluice.processes import of_caller
from sluice.registry.servable import Servable
from sluice.settings.payloads import Payloads
from sluice.settings.watch import Classifier, Online, Outliers, Watch
from sluice.watch import door
from sluice.watch.online import write_drift_server

VERSION = "6ebaaf1e"
SCHEMA = FeatureSchema((FeatureColumn("amount"), FeatureColumn("shop", "category", vocabulary=("a", "b"))))
START = datetime(2018, 1, 1, 15, 30, tzinfo=UTC)
"""The reference's days begin in the afternoon: they are cut where a window ends, not at midnight."""
DAYS, WITHIN = 42, 240.0
RATE = 0.05
WATCH = Watch(
    draws=200,
    min_rows=100,
    # Chance moves 100 rows by less: these tests are about the server, tests/watch/test_live.py about the alarm rate.
    min_distance=0.3,
    classifier=Classifier(rows=100, draws=40, rounds=1),
    online=Online(rows=1500, every=100, pause=timedelta(), outliers=Outliers(rate=RATE, keep=5)),
)
PAYLOADS = Payloads(max_event=256 * 1024, answer_within=timedelta(seconds=1))


def rows(count: int, first: datetime, last: datetime, *, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Rows whose amount is a standard normal number moved by `shift`, spread over a stretch of time."""
    random = np.random.default_rng(seed)
    places = np.sort(random.random(count))
    amount = random.normal(shift, 1, count).astype(np.float32)
    return pl.DataFrame(
        {
            "event_id": [f"{seed}-{n}" for n in range(count)],
            "event_time": [first + float(place) * (last - first) for place in places],
            "amount": amount,
            "shop": random.choice(["a", "b"], count, p=[0.7, 0.3]),
            "score": (1 / (1 + np.exp(-amount))).astype(np.float32),
        }
    )


def reference() -> pl.DataFrame:
    """What a version was trained and judged on."""
    end = START + timedelta(days=DAYS)
    table = rows(100 * DAYS, START, end, seed=1)
    return table.with_columns(held_out=pl.col("event_time") >= end - timedelta(days=7))


def drift_folder(folder: Path, watch: Watch = WATCH) -> Path:
    """What the drift server reads."""
    about = SimpleNamespace(model="fraud", digest=VERSION, schema=SCHEMA, use_case=SimpleNamespace(seed=7))
    return write_drift_server(cast(Servable, about), reference(), watch, PAYLOADS, folder)


@dataclass
class DriftProcess:
    """A drift server of its own process."""

    folder: Path
    callers: Path
    port: int
    process: subprocess.Popen[str] | None = None
    address: str = ""

    def start(self) -> DriftProcess:
        """It listens when this returns."""
        command = [str(door.interpreter()), "-W", "ignore", "-m", "sluice.watch.alibi.drift_server", str(self.folder)]
        command += ["--callers", str(self.callers), "--port", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=of_caller(door.environment()))
        assert self.process.stdout is not None
        self.address = json.loads(self.process.stdout.readline())["address"]
        return self

    def kill(self) -> None:
        """kill -9; nothing where it is gone already."""
        if self.process is None or self.process.stdout is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process = None


def drift_of(address: str) -> dict[str, Any]:
    """What it knows."""
    found: dict[str, Any] = httpx.get(f"{address}/v1/models/fraud/drift", timeout=WITHIN).json()
    return found


def until(address: str, holds: Any) -> dict[str, Any]:
    """Wait until what it knows is so."""
    deadline = monotonic() + WITHIN
    while not holds(found := drift_of(address)):
        assert monotonic() < deadline, found
        sleep(0.1)
    return found


def metrics_of(address: str) -> Mapping[str, float]:
    """Its metrics: `name`, or `name{value,…}` with the labels but model and version."""
    found = {}
    text = httpx.get(f"{address}/metrics", timeout=WITHIN).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(v for k, v in sorted(sample.labels.items()) if k not in ("model", "version"))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def question(table: pl.DataFrame) -> bytes:
    """The request about rows."""
    asked = [{"event_id": r["event_id"], "event_time": r["event_time"].isoformat()} for r in table.to_dicts()]
    return json.dumps({"instances": asked}).encode()


def answer(table: pl.DataFrame, version: str = VERSION) -> bytes:
    """The V1 answer about rows, with features as the graph was given them."""
    codes = {"a": 2, "b": 3}
    said = [
        {"event_id": r["event_id"], "score": r["score"], "features": [r["amount"], codes[r["shop"]]]}
        for r in table.to_dicts()
    ]
    about = {"feature_names": list(SCHEMA.names), "model_name": "fraud", "model_version": version}
    return json.dumps({"predictions": said, **about}).encode()


def answer_v2(table: pl.DataFrame) -> bytes:
    """The same in V2."""
    count, codes = table.height, table["shop"].replace_strict({"a": 2.0, "b": 3.0}, return_dtype=pl.Float64)
    features = np.column_stack([table["amount"].to_numpy(), codes.to_numpy()]).ravel().tolist()
    outputs = [
        {"name": "scores", "datatype": "FP32", "shape": [count], "data": table["score"].to_list()},
        {"name": "event_id", "datatype": "BYTES", "shape": [count], "data": table["event_id"].to_list()},
        {"name": "features", "datatype": "FP32", "shape": [count, 2], "data": features},
    ]
    parameters = {"feature_names": json.dumps(list(SCHEMA.names))}
    about = {"model_name": "fraud", "model_version": VERSION, "parameters": parameters}
    return json.dumps({"outputs": outputs, **about}).encode()


def tell(sender: Sender, table: pl.DataFrame, *, prefix: str = "") -> None:
    """Send requests and answers about rows, 100 in each, every other one in V2."""
    for number, part in enumerate(table.iter_slices(100)):
        name = f"{prefix}{part['event_id'][0]}"
        said = answer_v2(part) if number % 2 else answer(part)
        assert sender.send(named("request", name), question(part))[0] == 200
        assert sender.send(named(RESPONSE, name), said)[0] == 200


def admitted(path: Path) -> str:
    """A token for the receiver that hands events on."""
    return admit(path, "ledger", ["fraud"])
