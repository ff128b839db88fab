"""The `local` overlay on the test cluster, as its guide says: secrets, one apply, a raw table in the store."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.registry import Keys, Registry
from sluice.settings import UseCase, read_use_case
from sluice.settings.operation import Storage
from sluice.simulate import World, write_raw
from sluice.storage import Store, open_store
from sluice_pipelines.packages import compile_packages
from tests.cluster import server_images
from tests.cluster.kubeflow.graph import Package
from tools.cluster.cluster import Cluster
from tools.cluster.kubectl import Kubectl
from tools.cluster.relay import Relay
from tools.images.build import build

ROOT = Path(__file__).parents[2]
NAMESPACE = "sluice"
CLAIMS = ("data-minio-0", "data-redis-0")
SPOOL = "spool-payload-ledger-0"
MINIO = "http://minio.sluice.svc.cluster.local:9000"
SETTINGS: dict[str, Any] = {
    "data.source": "s3://sluice/raw",
    "split.train": "28d",
    "split.test": "10d",
    "training.candidates": [
        {"id": "constant", "kind": "constant"},
        {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
    ],
    "evaluation.bootstrap.resamples": 200,
    "gate.max_calibration_error": 0.2,
    "gate.parity_rows": 40,
    "pipeline.gpu.count": 0,
    "pipeline.steps": {"cpu": "250m", "cpu_limit": "2", "memory": "2Gi"},
    "pipeline.training": {"cpu": "250m", "cpu_limit": "2", "memory": "2Gi"},
    "pipeline.pull_policy": "Never",
}
"""A small world on a small machine: without the pool, and with requests that fit two cores."""


@dataclass
class Stack:
    """What runs in the namespace, reached from outside the cluster as its administrator."""

    cluster: Cluster
    minio: str
    folder: Path

    @property
    def kubectl(self) -> Kubectl:
        """kubectl in the stack's namespace."""
        return self.cluster.kubectl.in_namespace(NAMESPACE)

    def secret(self, name: str) -> dict[str, str]:
        """The values of a Secret."""
        data: Mapping[str, str] = self.kubectl.get(f"secret/{name}")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def use_case(self, **changes: Any) -> UseCase:
        """The use case as the cluster's pipeline has it."""
        overlay = ROOT / "manifests" / "settings" / "cluster.yaml"
        return read_use_case(ROOT / "use_cases" / "fraud.yaml", {**SETTINGS, **changes}, [overlay])

    def package(self, name: str, **changes: Any) -> Package:
        """A compiled package of the use case: training, scoring or gate-selftest."""
        compile_packages(self.use_case(**changes), self.folder / "packages")
        return Package(self.folder / "packages" / f"fraud-{name}.yaml")

    def store(self, role: str | None = None) -> Store:
        """The store with a role's rights; without one, root's."""
        kept = self.secret(f"sluice-store-{role}" if role else "sluice-minio-root")
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if role else ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
        keys = dict(zip(("access_key_id", "secret_access_key"), (kept[name] for name in names), strict=True))
        return open_store(Storage(url="s3://sluice", endpoint=self.minio, allow_http=True), credentials=keys)

    def registry(self) -> Registry:
        """The registry, decisions checked with the public key."""
        keys = self.folder / "keys"
        keys.mkdir(exist_ok=True)
        (keys / "gate.pub").write_text(self.kubectl.get("configmap/sluice-public-keys")["data"]["gate.pub"])
        return Registry(self.store(), "fraud", clock=_never, actor="test", keys=Keys.open(keys))


@contextmanager
def running(cluster: Cluster, folder: Path, *, by_hand: bool) -> Iterator[Stack]:
    """The overlay applied, its store ready and the raw table in it.

    Args:
        by_hand: whether the cluster was, and serves the next run of the tests, too.
    """
    kubectl = cluster.kubectl
    for image in (server_images.minio(folder), server_images.redis(folder)):
        cluster.import_image(image)
    make_secrets(cluster, folder)
    kubectl.apply(*volumes(cluster, folder))
    kubectl("apply", "--server-side", "--force-conflicts", f"--kustomize={ROOT / 'manifests/overlays/local'}")
    here = kubectl.in_namespace(NAMESPACE)
    here("wait", "--for=condition=complete", "job/store-setup", "--timeout=300s")
    here("rollout", "status", "statefulset/redis", "--timeout=120s")
    address = here.get("service/minio")["spec"]["clusterIP"]
    if address == "None":
        address = here.get("pods", "--selector=app.kubernetes.io/name=minio")[0]["status"]["podIP"]
    try:
        with Relay(cluster.namespace, address, 9000) as relay:
            stack = Stack(cluster, f"http://{relay.address}", folder)
            upload(stack)
            yield stack
    finally:
        if by_hand:
            remove(cluster)


def remove(cluster: Cluster) -> None:
    """Delete the namespace with its data."""
    kubectl = cluster.kubectl
    kubectl("label", "namespace", NAMESPACE, "sluice-keep-")
    kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
    kubectl("delete", "persistentvolume", *CLAIMS, SPOOL, "--ignore-not-found", "--timeout=60s")


def volumes(cluster: Cluster, folder: Path, claims: Sequence[str] = CLAIMS) -> list[dict[str, Any]]:
    """A folder of this machine for each claim: the test cluster has nothing that makes volumes."""
    node = cluster.kubectl.get("nodes")[0]["metadata"]["name"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    made = []
    for claim in claims:
        place = folder / "volumes" / claim
        place.mkdir(parents=True, exist_ok=True)
        os.chown(place, 65532, 65532)
        specification = {
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": NAMESPACE, "name": claim},
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        }
        made.append(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": claim}, "spec": specification}
        )
    return made


def built(target: str) -> Path:
    """The archive of an image of ours, built when anything in it changed."""
    return Path(build([target], os.environ.get("SLUICE_IMAGE_BASE"))[0].archive)


def make_secrets(cluster: Cluster, folder: Path) -> None:
    """Run the overlay's own script with the cluster's kubectl on PATH."""
    program = folder / "bin" / "kubectl"
    program.parent.mkdir(parents=True, exist_ok=True)
    words = cluster.kubectl.wrap(["KUBECTL", f"--kubeconfig={cluster.kubectl.kubeconfig}"])
    words[words.index("KUBECTL")] = str(ROOT / "tools" / "servers" / "bin" / "kubectl")
    quoted = " ".join(f"'{word}'" for word in words)
    program.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    script = ROOT / "manifests" / "overlays" / "local" / "make-secrets"
    subprocess.run([str(script)], env=environment, check=True, capture_output=True, text=True)


def upload(stack: Stack) -> None:
    """62 days of 400 cards, where the use case looks for them."""
    store = stack.store()
    for file in sorted(write_raw(World(days=62, cards=400, terminals=300), 5, stack.folder / "raw").rglob("*.parquet")):
        store.put(f"raw/{file.name}", file)


def _never() -> Any:
    raise AssertionError("tests write no decisions here")
