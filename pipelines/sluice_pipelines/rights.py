"""What a step's pod may do: fit for the restricted Pod Security Standard, and with no keys but those of its role."""

from pathlib import PurePosixPath

from kfp import dsl, kubernetes

from sluice.settings import UseCase
from sluice.settings.operation import Pipeline

KEYS = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
ROLE = {
    "plan": "preparer",
    "ingest": "preparer",
    "features": "preparer",
    "split": "preparer",
    "candidates": "preparer",
    "materialise": "preparer",
    "score": "preparer",
    "train": "trainer",
    "select": "trainer",
    "gate": "gate",
    "gate-selftest": "gate",
    "gather": "monitor",
    "detect": "monitor",
    "judge": "monitor",
    "decide": "gate",
    "compact": "keeper",
}
"""The store's role of each step, by its name in the package."""
DECIDES, VERIFIES, READS_RAW = ("gate", "decide"), ("score", "gather", "judge"), ("ingest", "score", "gather")
"""Steps that sign decisions, that check signatures alone, and that read raw events."""
WRITABLE = {"tmp": "/tmp", "work": "/var/lib/sluice"}


def confined(settings: Pipeline, task: dsl.PipelineTask) -> None:
    """An unprivileged user, and volumes where something may be written.

    Kubeflow itself drops every capability, forbids new privileges and sets the seccomp profile.
    """
    kubernetes.set_security_context(task, run_as_user=settings.user, run_as_group=settings.user, run_as_non_root=True)
    kubernetes.set_image_pull_policy(task, settings.pull_policy)
    for name, path in WRITABLE.items():
        kubernetes.empty_dir_mount(task, volume_name=name, mount_path=path, size_limit=settings.scratch)
    labels = {"part-of": "sluice", "component": "pipeline", "name": task.name}
    for key, value in labels.items():
        kubernetes.add_pod_label(task, f"app.kubernetes.io/{key}", value)


def entitled(use_case: UseCase, task: dsl.PipelineTask) -> None:
    """The keys of the step's role in the store, and what else that very step needs."""
    settings = use_case.pipeline
    if settings.store_secrets:
        kubernetes.use_secret_as_env(task, f"{settings.store_secrets}-{ROLE[task.name]}", KEYS)
    if settings.store_ca and use_case.storage.ca:
        folder = str(PurePosixPath(use_case.storage.ca).parent)
        kubernetes.use_config_map_as_volume(task, settings.store_ca, mount_path=folder)
    if settings.gate_key and task.name in DECIDES:
        kubernetes.use_secret_as_volume(task, settings.gate_key, mount_path=use_case.storage.keys)
    if settings.public_keys and task.name in VERIFIES:
        kubernetes.use_config_map_as_volume(task, settings.public_keys, mount_path=use_case.storage.keys)
    key = use_case.data.pseudonym_key
    if settings.pseudonym_secret and key and task.name in READS_RAW:
        kubernetes.use_secret_as_volume(task, settings.pseudonym_secret, mount_path=str(PurePosixPath(key).parent))
    if settings.redis_secret and task.name == "materialise":
        kubernetes.use_secret_as_env(task, settings.redis_secret, {"password": "SLUICE_REDIS_PASSWORD"})
