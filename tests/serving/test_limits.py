"""Every scoring request is counted, also one that ends as nobody foresaw."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sluice_serving.answers import Identity
from sluice_serving.limits import Limits
from sluice_serving.metrics import Metrics
from sluice_serving.traffic.observed import read_counts


async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application with a mistake in it."""
    raise RuntimeError("a mistake")


def test_a_mistake_counts_as_a_failed_request() -> None:
    registry = CollectorRegistry()
    settings = SimpleNamespace(serving=SimpleNamespace(max_body=1000))
    model: Any = SimpleNamespace(
        name="fraud",
        metrics=Metrics(Identity("fraud", "v1", ("amount",), ()), "binary", registry),
        reader=SimpleNamespace(use_case=settings),
    )
    scope = {"type": "http", "method": "POST", "path": "/v1/models/fraud:predict", "headers": []}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    with pytest.raises(RuntimeError, match="a mistake"):
        asyncio.run(Limits(broken, model, lambda: False)(scope, receive, receive))
    counted = read_counts(generate_latest(registry).decode())
    assert (counted.requests, counted.errors) == (1, 1)
