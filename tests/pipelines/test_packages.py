"""The compiled package says what a cluster needs to know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.settings import UseCase, parse_use_case, read_use_case
from sluice_pipelines.packages import compile_packages

FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"


@pytest.fixture
def use_case() -> UseCase:
    return read_use_case(FRAUD)


@pytest.fixture
def package(use_case: UseCase, tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    path, *_ = compile_packages(use_case, tmp_path)
    spec, platform = yaml.safe_load_all(path.read_text())
    return spec, platform


def executors(spec: dict[str, Any]) -> dict[str, Any]:
    return dict(spec["deploymentSpec"]["executors"])


def test_training_asks_for_one_card_of_the_pool_and_other_steps_for_none(package: Any, use_case: UseCase) -> None:
    spec, platform = package
    found = executors(spec)
    cards = {name: e["container"].get("resources", {}).get("accelerator") for name, e in found.items()}
    assert {name for name, card in cards.items() if card} == {"exec-train"}
    assert cards["exec-train"]["resourceCount"] == "1"
    pool = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pool["exec-train"]["nodeSelector"]["labels"] == {
        use_case.pipeline.gpu.node_label: use_case.pipeline.gpu.node_value
    }
    assert pool["exec-train"]["tolerations"][0]["key"] == use_case.pipeline.gpu.toleration
    assert "nodeSelector" not in pool["exec-gate"]


def test_every_step_has_the_image_of_the_settings_with_cpu_memory_retries_and_a_timeout(
    package: Any, use_case: UseCase
) -> None:
    spec, platform = package
    for name, executor in executors(spec).items():
        container = executor["container"]
        assert container["image"] == use_case.pipeline.image
        assert {"cpuRequest", "memoryRequest"} & set(container["resources"]) or "resourceCpuRequest" in str(container)
        assert platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][name]["activeDeadlineSeconds"]
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["ingest"]["retryPolicy"]["maxRetryCount"] == use_case.pipeline.steps.retries


def test_what_looks_at_the_world_is_never_reused(package: Any) -> None:
    tasks = package[0]["root"]["dag"]["tasks"]
    reused = {name for name, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert {"plan", "gate", "materialise"} & reused == set()
    assert {"ingest", "features", "split", "select"} <= reused


def test_the_settings_are_the_default_of_the_only_parameter_that_needs_one(package: Any, use_case: UseCase) -> None:
    parameters = package[0]["root"]["inputDefinitions"]["parameters"]
    assert parse_use_case(json.loads(parameters["settings"]["defaultValue"])) == use_case
    assert all(p.get("isOptional") for p in parameters.values())


def test_candidates_run_beside_each_other(package: Any, use_case: UseCase) -> None:
    tasks = package[0]["root"]["dag"]["tasks"]
    (loop,) = (task for name, task in tasks.items() if name.startswith("for-loop"))
    assert loop["iteratorPolicy"]["parallelismLimit"] == use_case.pipeline.parallel_candidates


def test_there_are_packages_for_training_the_self_test_and_scoring(use_case: UseCase, tmp_path: Path) -> None:
    names = [path.name for path in compile_packages(use_case, tmp_path)]
    assert names == ["fraud-training.yaml", "fraud-gate-selftest.yaml", "fraud-scoring.yaml"]
    spec = next(iter(yaml.safe_load_all((tmp_path / "fraud-scoring.yaml").read_text())))
    assert set(spec["root"]["inputDefinitions"]["parameters"]) == {"source", "history", "settings"}
