"""Every scoring request is counted, also one that ends as nobody foresaw."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sluice.rollout import Counts
from sluice.settings.operation import Serving
from sluice_serving.answers import Identity
from sluice_serving.limits import Limits
from sluice_serving.metrics import Metrics
from sluice_serving.traffic.observed import read_counts


async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
    """An application with a mistake in it."""
    raise RuntimeError("a mistake")


def served(application: Any, **serving: Any) -> tuple[Limits, CollectorRegistry]:
    """The application within its limits, and what it counts."""
    registry = CollectorRegistry()
    settings = SimpleNamespace(serving=Serving(max_body=1000, **serving))
    model: Any = SimpleNamespace(
        name="fraud",
        metrics=Metrics(Identity("fraud", "v1", ("amount",), ()), "binary", registry),
        reader=SimpleNamespace(use_case=settings),
    )
    return Limits(application, model, lambda: False), registry


SCOPE = {"type": "http", "method": "POST", "path": "/v1/models/fraud:predict", "headers": []}


async def receive() -> dict[str, Any]:
    """The whole body at once."""
    return {"type": "http.request", "body": b"{}", "more_body": False}


async def send(_message: Any) -> None:
    """Whoever asked takes what comes."""


def test_a_mistake_counts_as_a_failed_request() -> None:
    limits, registry = served(broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        asyncio.run(limits(SCOPE, receive, send))
    counted = read_counts(generate_latest(registry).decode())
    assert (counted.requests, counted.errors) == (1, 1)


def test_a_request_that_hangs_counts_as_failed_and_slow_before_it_ends_and_only_once() -> None:
    async def watched() -> tuple[Counts, Counts]:
        go_on = asyncio.Event()

        async def hanging(_scope: Any, _receive: Any, send: Any) -> None:
            await go_on.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        limits, registry = served(hanging, answer_within="20ms")

        def now() -> Counts:
            return read_counts(generate_latest(registry).decode())

        request = asyncio.create_task(limits(SCOPE, receive, send))
        while not now().requests:
            await asyncio.sleep(0.005)
        hung = now()
        go_on.set()
        await request
        return hung, now()

    hung, ended = asyncio.run(watched())
    assert (hung.requests, hung.errors, hung.slower_than(0.01)) == (1, 1, 1)
    assert ended == hung
