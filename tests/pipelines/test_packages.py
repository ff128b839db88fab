"""The compiled package says what a cluster needs to know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.settings import UseCase, parse_use_case, read_use_case
from sluice.watch.alibi.__main__ import TASKS
from sluice.watch.door import QUIET
from sluice_components.jobs.trainjob import train_job
from sluice_pipelines.packages import compile_packages

FRAUD = Path(__file__).parents[2] / "use_cases" / "fraud.yaml"


@pytest.fixture(scope="module")
def use_case() -> UseCase:
    return read_use_case(FRAUD)


@pytest.fixture(scope="module")
def compiled(use_case: UseCase, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_packages(use_case, tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def package(compiled: list[Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, platform = yaml.safe_load_all(compiled[0].read_text())
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


def test_a_step_may_use_more_than_it_asks_for_where_the_settings_say_so(package: Any, tmp_path: Path) -> None:
    more = read_use_case(FRAUD, {"pipeline.steps.cpu_limit": "3"})
    (spec, _platform) = yaml.safe_load_all(compile_packages(more, tmp_path)[0].read_text())
    limits = [
        executors(each)["exec-ingest"]["container"]["resources"]["resourceCpuLimit"] for each in (package[0], spec)
    ]
    assert limits == ["1", "3"]
    assert executors(spec)["exec-ingest"]["container"]["resources"]["resourceCpuRequest"] == "1"


def test_so_may_the_pods_of_a_trainjob() -> None:
    more = read_use_case(FRAUD, {"pipeline.training.cpu_limit": "6"})
    each = train_job(more, "network", "a-name", "handover")["spec"]["trainer"]["resourcesPerNode"]
    assert (each["requests"]["cpu"], each["limits"]["cpu"]) == ("4", "6")
    assert each["limits"]["memory"] == each["requests"]["memory"] == "16Gi", "what is not named keeps its default"


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


def test_there_is_a_package_for_each_pipeline(compiled: list[Path]) -> None:
    names = ["training", "gate-selftest", "scoring", "monitoring"]
    assert [path.name for path in compiled] == [f"fraud-{name}.yaml" for name in names]
    spec = next(iter(yaml.safe_load_all(compiled[2].read_text())))
    assert set(spec["root"]["inputDefinitions"]["parameters"]) == {"source", "history", "settings"}


@pytest.fixture(scope="module")
def monitoring(compiled: list[Path]) -> dict[str, Any]:
    return dict(next(iter(yaml.safe_load_all(compiled[3].read_text()))))


def test_monitoring_trains_where_the_decision_says_so_under_the_name_that_it_gives(
    monitoring: dict[str, Any], package: Any
) -> None:
    tasks = monitoring["root"]["dag"]["tasks"]
    (condition,) = (task for name, task in tasks.items() if name.startswith("condition"))
    said = condition["triggerPolicy"]["condition"]
    assert said == "inputs.parameter_values['pipelinechannel--decide-retrain'] == 'yes'"
    inner = monitoring["components"][condition["componentRef"]["name"]]["dag"]["tasks"]
    assert _steps(inner) == _steps(package[0]["root"]["dag"]["tasks"])
    given = inner["plan"]["inputs"]["parameters"]
    assert given["settings"]["componentInputParameter"] == "pipelinechannel--decide-settings"
    assert given["run_id"]["componentInputParameter"] == "pipelinechannel--decide-run"


def test_monitoring_looks_anew_every_time_and_in_order(monitoring: dict[str, Any]) -> None:
    tasks = monitoring["root"]["dag"]["tasks"]
    assert {name: set(tasks[name].get("dependentTasks", [])) for name in _steps(tasks)} == {
        **{"compact": set(), "gather": set(), "detect": {"gather"}},
        **{"judge": {"gather", "detect"}, "decide": {"judge"}},
    }
    assert not [name for name in _steps(tasks) if tasks[name].get("cachingOptions", {}).get("enableCache")]


def test_detectors_run_their_own_module_in_their_own_image(monitoring: dict[str, Any], use_case: UseCase) -> None:
    container = executors(monitoring)["exec-detect"]["container"]
    assert container["image"] == use_case.pipeline.alibi_image
    assert container["command"] == ["python", "-m", "sluice.watch.alibi"]
    assert container["args"][0] in TASKS
    assert {each["name"]: each["value"] for each in container["env"]} == QUIET
    others = {each["container"]["image"] for name, each in executors(monitoring).items() if name != "exec-detect"}
    assert others == {use_case.pipeline.image}


def _steps(tasks: dict[str, Any]) -> set[str]:
    return {name for name in tasks if not name.startswith(("for-loop", "condition"))}
