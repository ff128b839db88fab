"""Whatever anybody sends by the server's own description, it never answers with a fault of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from serving_world import WITHIN, WorldTables, body, instance

ORDINARY, ALL = 150, 2000
"""Requests of each kind that schemathesis makes: operations x positive and negative."""


def hammer(endpoint: str, examples: int) -> Counter[tuple[str, int]]:
    """Send `examples` requests for each scoring operation and mode, fewer for the others; count the answers."""
    schema = schemathesis.openapi.from_url(f"{endpoint}/openapi.json")
    answers: Counter[tuple[str, int]] = Counter()
    with httpx.Client(base_url=endpoint, timeout=30) as client:
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.method.upper() != "POST":
                _send(client, operation.as_strategy(), 10, answers)
                continue
            for mode in schemathesis.GenerationMode:
                _send(client, operation.as_strategy(generation_mode=mode), examples, answers)
    return answers


def _send(
    client: httpx.Client, cases: st.SearchStrategy[Any], examples: int, answers: Counter[tuple[str, int]]
) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def send(case: Any) -> None:
        answer = case.call(base_url=str(client.base_url))
        answers[case.operation.label, answer.status_code] += 1
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    send()


def check(answers: Counter[tuple[str, int]], at_least: int) -> None:
    """Enough were sent, and both kinds of answers were met at both scoring operations."""
    assert sum(answers.values()) >= at_least
    for operation in ("POST /v1/models/{model_name}:predict", "POST /v2/models/{model_name}/infer"):
        assert any(status >= 400 for label, status in answers if label == operation)
    assert answers["POST /v1/models/{model_name}:predict", 200] > at_least / 50


def test_the_description_is_exact(endpoint: str, world: WorldTables) -> None:
    """What the description calls right is answered, and the answer is as described."""
    description = schemathesis.openapi.from_url(f"{endpoint}/openapi.json")
    operation = description["/v1/models/{model_name}:predict"]["POST"]
    answer = httpx.post(
        f"{endpoint}/v1/models/fraud:predict",
        content=body(instance(world.day.row(0, named=True))),
        headers={"content-type": "application/json"},
        timeout=WITHIN,
    )
    operation.validate_response(answer)
    instances = operation.definition.raw["requestBody"]["content"]["application/json"]["schema"]["properties"][
        "instances"
    ]
    assert instances["items"]["required"] == ["event_id", "event_time", "card", "terminal", "amount"]
    assert instances["items"]["properties"]["amount"]["maximum"] == 1_000_000
    assert instances["maxItems"] == 50


def test_a_thousand_requests_by_the_description(endpoint: str) -> None:
    check(hammer(endpoint, ORDINARY), 600)


@pytest.mark.exhaustive
@pytest.mark.timeout(2400)
def test_ten_thousand_requests_by_the_description(endpoint: str) -> None:
    check(hammer(endpoint, ALL + 500), 10_000)
