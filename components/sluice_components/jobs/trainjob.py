"""A TrainJob of Kubeflow Trainer: a network's processes as pods, one card each, on the pool of the settings."""

from __future__ import annotations

import json
from typing import Any

from sluice.settings import UseCase, sections_document
from sluice.training.processes import NEEDED
from sluice_components.jobs.cluster import Kind, Object

TRAIN_JOB = Kind("trainer.kubeflow.org", "v1alpha1", "trainjobs")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
RUN = "python -m torch.distributed.run -m sluice.training.worker --settings=-"
"""What each pod runs: `torchrun`, which Trainer tells by `PET_…` who the others are."""


def train_job(use_case: UseCase, candidate: str, name: str, handover: str) -> Object:
    """The object for one training.

    Args:
        use_case: at least the sections that a training reads, and `pipeline`.
        handover: name under which rows lie in the store, and the model will.
    """
    pipeline, distributed = use_case.pipeline, use_case.training.distributed
    settings = json.dumps(sections_document(use_case, NEEDED), sort_keys=True)
    resources = {"cpu": pipeline.training.cpu, "memory": pipeline.training.memory}
    if pipeline.gpu.count:
        resources[pipeline.gpu.resource] = "1"
    limits = {**resources, "cpu": pipeline.training.cpu_at_most}
    return {
        "apiVersion": f"{TRAIN_JOB.group}/{TRAIN_JOB.version}",
        "kind": "TrainJob",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/part-of": "sluice", "app.kubernetes.io/component": "pipeline"},
        },
        "spec": {
            "runtimeRef": {"kind": "TrainingRuntime", "name": distributed.runtime},
            "labels": {"app.kubernetes.io/part-of": "sluice", "app.kubernetes.io/component": "pipeline"},
            "podSpecOverrides": [_placed(use_case)],
            "trainer": {
                "image": pipeline.image,
                "command": RUN.split(),
                "args": [f"--candidate={candidate}", f"--handover={handover}"],
                "env": [{"name": "SETTINGS", "value": settings}, *_keys(use_case)],
                "numNodes": distributed.processes,
                "numProcPerNode": 1,
                "resourcesPerNode": {"requests": resources, "limits": limits},
            },
        },
    }


def _placed(use_case: UseCase) -> dict[str, Any]:
    """The pool's nodes and its taint; without cards anywhere."""
    pipeline = use_case.pipeline
    placed: dict[str, Any] = {"targetJobs": [{"name": "node"}]}
    if pipeline.service_account:
        placed["serviceAccountName"] = pipeline.service_account
    if pipeline.gpu.count:
        placed["nodeSelector"] = {pipeline.gpu.node_label: pipeline.gpu.node_value}
        placed["tolerations"] = [{"key": pipeline.gpu.toleration, "operator": "Exists", "effect": "NoSchedule"}]
    return placed


def _keys(use_case: UseCase) -> list[dict[str, Any]]:
    """The trainer's keys of the store, as its step has them."""
    if not use_case.pipeline.store_secrets:
        return []
    secret = f"{use_case.pipeline.store_secrets}-trainer"
    return [{"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for key in KEYS]
