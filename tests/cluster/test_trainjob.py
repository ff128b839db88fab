"""The training step hands a network over to a TrainJob: two pods for real, and the model comes back by the store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import WaitFor
from kubernetes import client
from stack import NAMESPACE, ROOT, Stack

from sluice.errors import PipelineError, TrainingError
from sluice.handover import PREFIX
from sluice.settings import UseCase
from sluice.steps import silent
from sluice.training.files import DOCUMENT
from sluice.training.task import read_scores, train_from_folders
from sluice_components.jobs import training
from sluice_components.jobs.cluster import Cluster
from sluice_components.jobs.trainjob import TRAIN_JOB, train_job
from tests.training.split_folders import PLAIN, folders_in, network_case
from tools.cluster import trainer
from tools.cluster.relay import Relay

COMPONENT = ROOT / "manifests" / "components" / "trainer"
POOL = {"count": 0}
PODS = {"cpu": "250m", "memory": "2Gi"}


def use_case(stack: Stack, storage: dict[str, Any] | None = None, **pipeline: Any) -> UseCase:
    """Two processes, in pods that fit beside the stack."""
    given = stack.use_case()
    places = storage or given.storage.model_dump(mode="json")
    own = given.pipeline.model_dump(mode="json") | {"training": PODS, "gpu": POOL} | pipeline
    return network_case(places, PLAIN, pipeline=own, distributed={"engine": "trainjob", "processes": 2})


@pytest.fixture(scope="module")
def cluster_as_step(stack: Stack) -> Iterator[Cluster]:
    """The API server as the training step's account sees it, with the component's rights and runtime."""
    trainer.install(stack.cluster)
    for file in sorted(COMPONENT.glob("[!k]*.yaml")):
        each = yaml.safe_load(file.read_text())
        each["metadata"]["namespace"] = NAMESPACE
        if each["kind"] == "TrainingRuntime":
            pod = each["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
            pod["containers"][0]["imagePullPolicy"] = "Never"
        stack.kubectl.apply(each)
    token = stack.kubectl("create", "token", "sluice-pipeline").strip()
    with Relay(stack.cluster.namespace, "198.18.0.1", 6443) as relay:
        configuration = client.Configuration(host=f"https://{relay.address}")
        configuration.ssl_ca_cert = str(stack.cluster.home.keys / "ca.crt")
        configuration.api_key = {"authorization": f"Bearer {token}"}
        yield Cluster(NAMESPACE, client.CustomObjectsApi(client.ApiClient(configuration)))


@pytest.fixture
def from_outside(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step's own store, with the trainer's keys: the test stands outside, and the pods' address is not reached."""
    monkeypatch.setattr(training, "open_store", lambda _settings: stack.store("trainer"))


@pytest.mark.usefixtures("from_outside")
def test_two_pods_train_what_one_process_does(stack: Stack, cluster_as_step: Cluster, tmp_path: Path) -> None:
    folders = folders_in(tmp_path)
    told = training.train_by_job(
        use_case(stack), "it", cluster_as_step, **folders, folder=tmp_path / "job", progress=silent
    )
    alone = network_case({"url": str(tmp_path / "store")}, PLAIN)
    train_from_folders(alone, "it", **folders, folder=tmp_path / "alone", progress=silent)
    assert told["average_precision"] > 0
    record = json.loads((tmp_path / "job" / DOCUMENT).read_text())
    assert record["memory"]["cards"] == 2
    np.testing.assert_allclose(read_scores(tmp_path / "job"), read_scores(tmp_path / "alone"), atol=2e-4)
    assert list(stack.store().keys(PREFIX)) == []
    assert not stack.kubectl.get("trainjobs")


@pytest.mark.usefixtures("from_outside")
def test_an_image_that_is_not_there_is_told(
    stack: Stack, cluster_as_step: Cluster, tmp_path: Path, wait_for: WaitFor
) -> None:
    """The job is deleted under the step, as a person would who sees it hang."""
    broken = use_case(stack, image="docker.io/sluice/no-such-image:1")
    waited: list[float] = []

    def delete_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        stack.kubectl("delete", "trainjobs", "--all")
        wait_for("the job to be gone", lambda: not stack.kubectl.get("trainjobs"))

    with pytest.raises(TrainingError, match="is gone"):
        training.train_by_job(
            broken,
            "it",
            cluster_as_step,
            **folders_in(tmp_path),
            folder=tmp_path / "job",
            progress=silent,
            sleep=delete_meanwhile,
        )
    assert waited


def test_the_pool_and_its_taint_are_in_the_job_and_the_api_server_takes_it(
    stack: Stack, cluster_as_step: Cluster
) -> None:
    made = train_job(use_case(stack, gpu={}), "it", "sluice-train-try", "train/try")
    said = json.loads(
        stack.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", given=json.dumps(made))
    )
    (placed,) = said["spec"]["podSpecOverrides"]
    assert placed["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-GeForce-RTX-2080-Ti"}
    assert placed["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert said["spec"]["trainer"]["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "1"
    with pytest.raises(PipelineError, match="refuses"):
        cluster_as_step.create(TRAIN_JOB, {**made, "spec": {**made["spec"], "trainer": {"numNodes": "two"}}})
