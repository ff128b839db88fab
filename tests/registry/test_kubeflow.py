"""Versions in Kubeflow's model registry: its own client, against a small server that speaks its REST API.

The server speaks the API of its newest releases; `test_kubeflow_real.py` has a real one, which speaks the one before.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sluice.errors import RegistryError
from sluice.registry import Registry, Version
from sluice.registry.kubeflow import KubeflowIndex, version_uri

API = "/api/model_registry/v1/"


class Service(ThreadingHTTPServer):
    """Registered models, versions and artifacts in memory."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.models: list[dict[str, Any]] = []
        self.versions: list[dict[str, Any]] = []
        self.artifacts: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        """http://host:port"""
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match url.path.removeprefix(API):
            case "registered_models":
                self._answer({"items": self.server.models, "size": 0, "pageSize": 0, "nextPageToken": ""})
            case "registered_model":
                self._first(self.server.models, name=query["name"])
            case "model_version":
                self._first(self.server.versions, name=query["name"], registeredModelId=query.get("parentResourceId"))
            case _:
                self._answer({"code": "404", "message": self.path}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path).path.removeprefix(API)
        if path == "registered_models":
            found = [model for model in self.server.models if model["name"] == body["name"]]
            self._add(self.server.models, body) if not found else self._answer(found[0], 201)
        elif path == "model_versions":
            self._add(self.server.versions, body)
        elif path.endswith("/artifacts"):
            self._add(self.server.artifacts, body)
        else:
            self._answer({"code": "404", "message": self.path}, 404)

    def _add(self, to: list[dict[str, Any]], body: dict[str, Any]) -> None:
        to.append({**body, "id": str(len(to) + 1), "createTimeSinceEpoch": "1", "lastUpdateTimeSinceEpoch": "1"})
        self._answer(to[-1], 201)

    def _first(self, among: list[dict[str, Any]], **wanted: Any) -> None:
        found = [item for item in among if all(item.get(name) == value for name, value in wanted.items())]
        self._answer(found[0]) if found else self._answer({"code": "404", "message": "not found"}, 404)

    def _answer(self, document: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join()


def test_a_version_is_made_known_once(
    service: Service, registry: Registry, add: Callable[[Registry, str], Version]
) -> None:
    index = KubeflowIndex(service.address)
    for name in "aab":
        version = add(registry, name)
        uri = version_uri(registry.store, version)
        index.register(version, uri=uri, metrics={"average_precision": 0.7}, author="gate")
    assert [model["name"] for model in service.models] == ["fraud"]
    assert [known["name"] for known in service.versions] == [add(registry, name).digest for name in "ab"]
    assert service.versions[0]["customProperties"]["average_precision"]["double_value"] == 0.7
    assert service.versions[0]["author"] == "gate"
    assert service.artifacts[0]["uri"].endswith(f"/registry/fraud/versions/{add(registry, 'a').digest}.json")
    assert service.artifacts[0]["modelFormatName"] == "onnx"


def test_a_dead_model_registry_is_told(registry: Registry, add: Callable[[Registry, str], Version]) -> None:
    with pytest.raises(RegistryError, match=r"the model registry at .* does not take"):
        KubeflowIndex("http://127.0.0.1:1").register(add(registry, "a"), uri="x", metrics={}, author="gate")
