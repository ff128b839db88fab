"""Kubeflow Trainer and JobSet beside the cluster, for TrainJobs that run for real. Added when a test asks."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.kubectl import Kubectl, RefusedError
from tools.cluster.parts import Part
from tools.cluster.places import MANIFESTS, PROGRAMS, ROOT, Home, home
from tools.cluster.processes import start

JOBSET, TRAINER = "jobset-system", "kubeflow-system"
OWN_NAME = f"kubeflow-trainer-controller-manager.{TRAINER}.svc"
"""What Trainer writes into its certificate."""
WEBHOOKS = {"jobset": "https://127.0.0.1:9444", "trainer": f"https://{OWN_NAME}:9445"}
SECRET = "kubeflow-trainer-webhook-cert"
KUBECONFIG = Path("/run/trainer.kubeconfig")
CERTIFICATES = "k8s-webhook-server/serving-certs"
CONFIGURATION = {
    "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
    "kind": "Configuration",
    "leaderElection": {"leaderElect": False},
    "internalCertManagement": {"enable": False},
    "webhook": {"port": 9444},
    "metrics": {"bindAddress": "127.0.0.1:9446"},
    "health": {"healthProbeBindAddress": "127.0.0.1:9447"},
}


def install(cluster: Cluster) -> None:
    """Apply the definitions and start both managers, unless they run."""
    kubectl = cluster.kubectl
    if (cluster.home.data / "trainer" / "started").exists():
        return
    for name in (JOBSET, TRAINER):
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for name in ("jobset-crds", "trainer-crds"):
        kubectl("apply", "--server-side", "--validate=false", f"--filename={MANIFESTS / name}.yaml")
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl.apply(*_own(cluster.home))
    command = cluster.namespace.command([sys.executable, "-m", "tools.cluster.trainer"])
    done = subprocess.run(command, cwd=ROOT, env=cluster.environment, check=False)
    if done.returncode != 0:
        raise ClusterError("Trainer did not start", f"its log lies in {cluster.home.logs}")
    (cluster.home.data / "trainer" / "started").touch()


def _own(place: Home) -> Iterator[dict[str, Any]]:
    """The webhooks, asked at the managers' own addresses, and the Secret that Trainer fills with its certificate."""
    authority = base64.b64encode((place.keys / "ca.crt").read_bytes()).decode()
    yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": TRAINER}}
    for name in ("jobset", "trainer"):
        for each in yaml.safe_load_all((MANIFESTS / f"{name}-webhooks.yaml").read_text()):
            if not each:
                continue
            kind = each["kind"].removesuffix("WebhookConfiguration").lower()
            # Trainer looks for its own by this name, to write its authority into it.
            each["metadata"]["name"] = "validator.trainer.kubeflow.org" if name == "trainer" else f"jobset-{kind}"
            for hook in each["webhooks"]:
                path = hook["clientConfig"].pop("service")["path"]
                hook["clientConfig"] = {"url": f"{WEBHOOKS[name]}{path}"}
                if name == "jobset":
                    hook["clientConfig"]["caBundle"] = authority
                if "pod" in path:
                    # Only a job set's own pods: nothing else in the cluster is to wait for this manager.
                    hook["objectSelector"] = {"matchExpressions": [{"key": _JOB, "operator": "Exists"}]}
            yield each


_JOB = "jobset.sigs.k8s.io/jobset-name"


def main() -> None:
    """Start both, from within the cluster's namespaces."""
    place = home()
    folder = place.data / "trainer"
    for name in ("jobset", "own"):
        (folder / name / CERTIFICATES).mkdir(parents=True, exist_ok=True)
    for kind in ("crt", "key"):
        shutil.copy(place.keys / f"webhooks.{kind}", folder / "jobset" / CERTIFICATES / f"tls.{kind}")
    (folder / "jobset.yaml").write_text(json.dumps(CONFIGURATION))
    _name_trainer(folder / "hosts")
    threading.Thread(target=_copy_certificate, args=(place,), daemon=True).start()
    start([_jobset(place), _trainer(place)], place)


def _name_trainer(hosts: Path) -> None:
    """To the API server, which asks by the name in the certificate, Trainer is on this machine."""
    hosts.write_text(f"{Path('/etc/hosts').read_text().rstrip()}\n127.0.0.1 {OWN_NAME}\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


def _jobset(place: Home) -> Part:
    folder = place.data / "trainer"
    environment = {"KUBECONFIG": str(place.kubeconfig()), "TMPDIR": str(folder / "jobset")}
    command = [str(PROGRAMS / "jobset-manager"), f"--config={folder}/jobset.yaml"]
    return Part("jobset", command, "http://127.0.0.1:9447/readyz", environment)


def _trainer(place: Home) -> Part:
    """Its certificate's folder is below /tmp, whatever TMPDIR says: it gets a /tmp of its own, and all else in /run."""
    _write_kubeconfig(place)
    mounts = (
        f"mkdir -p /run/trainer && mount --bind {PROGRAMS} /run/trainer && mount --bind {place.data}/trainer/own /tmp"
    )
    ports = "--webhook-server-port=9445 --health-probe-bind-address=127.0.0.1:9448"
    command = ["unshare", "--mount", "--", "sh", "-c", f"{mounts} && cd / && exec /run/trainer/trainer-manager {ports}"]
    environment = {"KUBECONFIG": str(KUBECONFIG), "POD_NAMESPACE": TRAINER}
    return Part("trainer", command, "http://127.0.0.1:9448/readyz", environment)


def _write_kubeconfig(place: Home) -> None:
    """The administrator's, with keys inside: the files that it names may lie below /tmp."""
    document = json.loads(place.kubeconfig().read_text())
    for entry in (document["clusters"][0]["cluster"], document["users"][0]["user"]):
        for name in ("certificate-authority", "client-certificate", "client-key"):
            if name in entry:
                entry[f"{name}-data"] = base64.b64encode(Path(entry.pop(name)).read_bytes()).decode()
    KUBECONFIG.write_text(json.dumps(document))
    KUBECONFIG.chmod(0o600)


def _copy_certificate(place: Home) -> None:
    """Trainer writes its certificate to a Secret and waits until that is mounted: here nobody else mounts it."""
    kubectl = Kubectl(place.kubeconfig())
    for _ in range(300):
        time.sleep(0.2)
        try:
            data = kubectl.get(f"secret/{SECRET}", f"--namespace={TRAINER}").get("data") or {}
        except RefusedError:
            continue
        if data:
            for name, value in data.items():
                target = place.data / "trainer" / "own" / CERTIFICATES / name
                target.write_bytes(base64.b64decode(value))
            return


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
