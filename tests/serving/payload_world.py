"""A receiver as a real process, senders of its events, and the bodies that they log."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import yaml
from prometheus_client.parser import text_string_to_metric_families

from sluice.ledger import Answers, answers
from sluice.payloads.callers import admit
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store

REQUEST, RESPONSE = "request", "response"
QUICK: dict[str, Any] = {"flush_every": "200ms", "answer_within": "1s"}
HOUR = timedelta(hours=1)


@dataclass
class ReceiverProcess:
    """A receiver with its spool in `folder`, for a store."""

    folder: Path
    storage: Storage
    keys: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=lambda: QUICK)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    address: str = ""
    token: str = ""
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def start(self) -> ReceiverProcess:
        """Start it (again); it listens when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        callers = self.folder / "callers.yaml"
        if not callers.exists():
            self.token = admit(callers, "tester", ["fraud"])
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(dict(self.settings)))
        command = [sys.executable, "-m", "sluice_serving.payloads", "--spool", str(self.folder / "spool")]
        command += ["--callers", str(callers), "--settings", str(self.folder / "settings.yaml")]
        command += self.options
        told = {
            "SLUICE_STORE_URL": self.storage.url,
            "SLUICE_STORE_ENDPOINT": self.storage.endpoint or "",
            "SLUICE_STORE_ALLOW_HTTP": str(self.storage.allow_http).lower(),
        }
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **told, **self.keys}
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.folder / "log").read_text()
        self.address = json.loads(line)["address"]
        return self

    def __enter__(self) -> ReceiverProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM: what was taken goes to the store, if it answers."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(180)
        self._close()
        return code

    def _close(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    @property
    def store(self) -> Store:
        """Its store."""
        names = {"AWS_ACCESS_KEY_ID": "access_key_id", "AWS_SECRET_ACCESS_KEY": "secret_access_key"}
        keys = {names[name]: value for name, value in self.keys.items() if name in names} or None
        return open_store(self.storage, credentials=keys)

    def settle(self) -> None:
        """Wait until all that it took is in the store."""
        deadline = monotonic() + 180
        while self.metrics()["sluice_payload_spool_bytes"]:
            assert monotonic() < deadline, (self.folder / "log").read_text()
            sleep(0.05)

    def ledger(self) -> Answers:
        """All that the ledger holds of the last hour."""
        now = datetime.now(UTC)
        return answers(self.store, "fraud", now - HOUR, now + HOUR, answer_within=timedelta(seconds=1))

    def metrics(self) -> dict[str, float]:
        """Its counters: `name`, or `name{value,…}`."""
        status, text, _ = Sender(self).ask("GET", "/metrics")
        assert status == 200
        found = {}
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labels = ",".join(value for _, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found


class Sender:
    """One connection to a receiver, which ends with it."""

    def __init__(self, receiver: ReceiverProcess) -> None:
        parts = urlsplit(receiver.address)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=180)
        receiver.connections.append(self._connection)
        self._token = receiver.token

    def send(self, headers: Mapping[str, str], body: bytes, model: str = "fraud") -> tuple[int, bytes]:
        """Status and answer of one event."""
        status, said, _ = self.ask("POST", f"/models/{model}", headers, body)
        return status, said

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """One HTTP request, with the token unless the headers say otherwise."""
        given = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        self._connection.request(method, path, body, given)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.headers


def named(kind: str, number: str, **changed: str | None) -> dict[str, str]:
    """Headers of an event in binary mode, as KServe's logger sends them; None leaves one out."""
    given = {
        "Content-Type": "application/json",
        "Ce-Specversion": "1.0",
        "Ce-Id": number,
        "Ce-Source": "http://localhost:9081/",
        "Ce-Type": f"org.kubeflow.serving.inference.{kind}",
        "Ce-Time": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "123Z"),
        "Ce-Recordedtime": datetime.now(UTC).isoformat(),
        "Ce-Inferenceservicename": "fraud-6ebaaf1e",
        "Ce-Namespace": "sluice",
        "Ce-Component": "predictor",
        "Ce-Endpoint": "default",
        "Ce-Metadata": "{}",
    }
    return {name: value for name, value in {**given, **changed}.items() if value is not None}


def question(*events: str) -> bytes:
    """A V1 request about some events."""
    rows = [{"event_id": name, "event_time": "2018-08-08T00:01:14Z", "card": "596"} for name in events]
    return json.dumps({"instances": rows}).encode()


def answer(*events: str, version: str = "6ebaaf1e", score: float = 0.25, model: str = "fraud") -> bytes:
    """The V1 answer about some events."""
    rows = [
        {
            "event_id": name,
            "score": score,
            "features": [1.5, None],
            "unknown": ["card"],
            "stale": [],
            "ahead": False,
            "repeated": True,
        }
        for name in events
    ]
    names = {"feature_names": ["amount", "card_count_1d"], "time": "2026-11-23T01:54:32.136016Z"}
    return json.dumps({"predictions": rows, "model_name": model, "model_version": version, **names}).encode()
