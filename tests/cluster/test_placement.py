"""The real scheduler puts the pipeline's training on the 2080 Ti nodes, and nothing else there.

The nodes are KWOK's: the API server and the scheduler see them as any other, but no container runs on them. What is
placed are the pods of a compiled package's steps.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from conftest import Apply, WaitFor
from objects import Object, pod

from sluice.settings import UseCase, read_use_case
from sluice_pipelines.packages import compile_package
from tests.cluster.kubeflow import manifest
from tests.cluster.kubeflow.graph import Package, Step, Values
from tools.cluster.kubectl import Kubectl, RefusedError
from tools.cluster.places import ROOT

SMALL = {"cpu": "50m", "memory": "64Mi"}
QUOTA = ROOT / "manifests/components/gpu-pool/resourcequota.yaml"
TRAINING = "exec-train"


@pytest.fixture(scope="module")
def use_case() -> UseCase:
    """The use case as it is, but for steps that fit beside each other on a small machine."""
    return read_use_case(ROOT / "use_cases/fraud.yaml", {"pipeline.steps": SMALL, "pipeline.training": SMALL})


@pytest.fixture(scope="module")
def steps(use_case: UseCase, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Object]:
    """The pods of the package's steps, for any namespace, by the step's executor."""
    package = Package(compile_package(use_case, "training", tmp_path_factory.mktemp("package")))
    return {name: _pod(package, name) for name in package.spec["deploymentSpec"]["executors"]}


def gpu_node(name: str, use_case: UseCase, product: str | None = None) -> Object:
    """A node with two cards, as the device plug-in and feature discovery leave it."""
    pool = use_case.pipeline.gpu
    size = {"cpu": "16", "memory": "64Gi", "pods": "110", pool.resource: "2"}
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        pool.node_label: product or pool.node_value,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": [{"key": pool.toleration, "value": "present", "effect": "NoSchedule"}]},
        "status": {"allocatable": size, "capacity": size},
    }


@pytest.fixture
def pool(apply: Apply, use_case: UseCase) -> None:
    """Two nodes of the pool, and one with other cards."""
    other = gpu_node("other-cards", use_case, "NVIDIA-A100-SXM4-40GB")
    apply(gpu_node("gpu-0", use_case), gpu_node("gpu-1", use_case), other)


@pytest.fixture
def place(kubectl: Kubectl, namespace: str, apply: Apply) -> Callable[[Object, str], None]:
    """`place(pod, name)` applies a copy of a step's pod in the test's namespace."""

    def run(step: Object, name: str) -> None:
        apply({**step, "metadata": {**step["metadata"], "name": name, "namespace": namespace}})

    return run


@pytest.mark.usefixtures("pool")
def test_training_goes_to_the_pool_only(
    kubectl: Kubectl, namespace: str, place: Callable[..., None], wait_for: WaitFor, steps: dict[str, Object]
) -> None:
    for number in range(5):
        place(steps[TRAINING], f"training-{number}")
    here = kubectl.in_namespace(namespace)
    why = wait_for("the fifth to wait for a card", lambda: _waits_for_a_card(here))
    assert "Insufficient nvidia.com/gpu" in why
    nodes = [node for each in here.get("pods") if (node := each["spec"].get("nodeName"))]
    assert sorted(nodes) == ["gpu-0", "gpu-0", "gpu-1", "gpu-1"]


@pytest.mark.usefixtures("pool")
def test_no_other_step_and_no_other_pod_goes_there(
    kubectl: Kubectl,
    namespace: str,
    place: Callable[..., None],
    apply: Apply,
    wait_for: WaitFor,
    steps: dict[str, Object],
) -> None:
    others = [name for name in steps if name != TRAINING]
    for name in others:
        place(steps[name], name)
    apply(pod(namespace, "ordinary"))
    here = kubectl.in_namespace(namespace)
    for name in [*others, "ordinary"]:
        found = wait_for(f"a node for {name}", lambda name=name: here.get(f"pod/{name}")["spec"].get("nodeName"))
        assert found == "node-1", name


def test_one_card_over_the_quota_is_refused(
    namespace: str, apply: Apply, place: Callable[..., None], steps: dict[str, Object]
) -> None:
    quota = yaml.safe_load(QUOTA.read_text())
    quota["metadata"]["namespace"] = namespace
    apply(quota)
    cards = int(quota["spec"]["hard"]["requests.nvidia.com/gpu"])
    for number in range(cards):
        place(steps[TRAINING], f"training-{number}")
    with pytest.raises(RefusedError) as refused:
        place(steps[TRAINING], "one-too-many")
    asked, limited = "requested: requests.nvidia.com/gpu=1", f"limited: requests.nvidia.com/gpu={cards}"
    assert "exceeded quota: sluice-gpu" in str(refused.value)
    assert asked in str(refused.value)
    assert limited in str(refused.value)


def _pod(package: Package, name: str) -> Object:
    container, platform = package.step(name)
    step = Step(name, name, {}, container, platform, Values(), 0)
    made = manifest.pod(step, name, "{}", account="default", launcher="none", endpoint="http://none")
    # Not under test here, and absent: what the steps mount and read.
    main = made["spec"]["containers"][0] | {"env": [], "volumeMounts": []}
    return {**made, "spec": {**made["spec"], "containers": [main], "volumes": []}}


def _waits_for_a_card(kubectl: Kubectl) -> str | None:
    """Why the scheduler leaves a pod without a node, once the others have theirs."""
    waiting = [each for each in kubectl.get("pods") if not each["spec"].get("nodeName")]
    conditions = waiting[0].get("status", {}).get("conditions", []) if len(waiting) == 1 else []
    return next((each["message"] for each in conditions if each["type"] == "PodScheduled"), None)
