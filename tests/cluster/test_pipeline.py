"""The compiled package's steps as pods, in the real images, over MinIO, under the restricted Pod Security Standard.

A runner of the tests stands in for Kubeflow; `tests/cluster/kubeflow` says what it does and what it does not cover.
"""

from __future__ import annotations

from typing import Any

import pytest
from stack import Stack

from sluice.registry import verify


def test_every_step_ran_as_a_pod_and_the_gate_promoted(trained: dict[str, Any]) -> None:
    assert trained["gate"].parameters["decision"] == "promoted"
    assert len(trained["for-loop-1"].artifacts["pipelinechannel--train-model"]) == 2


def test_the_registry_holds_what_the_gate_signed(stack: Stack, trained: dict[str, Any]) -> None:
    registry = stack.registry()
    assert registry.state().champion == trained["gate"].parameters["version"]
    assert verify(registry.store, registry.keys).problems == ()


def test_the_report_and_the_card_lie_where_the_ui_finds_them(stack: Stack, trained: dict[str, Any]) -> None:
    for name, words in (("report", b"<html"), ("card", b"# ")):
        (artifact,) = trained["gate"].artifacts[name]
        assert words in stack.store().get(artifact["uri"].removeprefix("s3://sluice/"))[:2000]


@pytest.mark.parametrize("hidden", ["sealed", "history"])
def test_a_trainer_cannot_read_what_it_must_not(stack: Stack, trained: dict[str, Any], hidden: str) -> None:
    step = "split" if hidden == "sealed" else "ingest"
    (artifact,) = trained[step].artifacts[hidden]
    prefix = artifact["uri"].removeprefix("s3://sluice/")
    key = next(iter(stack.store().keys(prefix)), prefix)
    assert stack.store("gate").get(key)
    with pytest.raises(Exception, match="may not"):
        stack.store("trainer").get(key)
