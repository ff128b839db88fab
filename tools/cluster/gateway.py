"""Envoy Gateway in the cluster: the class `envoy`, for routes that are to carry traffic. Added when a test asks."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tools.cluster.cluster import Cluster
from tools.cluster.errors import ClusterError
from tools.cluster.images import write_files_image
from tools.cluster.places import MANIFESTS, PROGRAMS

NAMESPACE = "envoy-gateway-system"
OBJECTS = Path(__file__).with_name("gateway.yaml")
LIBRARY = re.compile(r"(/\S+) \(0x")


def install(cluster: Cluster) -> None:
    """Start it, and wait until its class is accepted. Again: changes nothing."""
    for name in ("envoy-gateway", "envoy"):
        cluster.import_image(_image(cluster, name))
    kubectl = cluster.kubectl
    kubectl("apply", "--server-side", "--validate=false", f"--filename={MANIFESTS / 'envoy-gateway.yaml'}")
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    _make_certificates(cluster)
    kubectl("apply", "--server-side", f"--filename={OBJECTS}")
    kubectl("rollout", "status", "deployment/envoy-gateway", f"--namespace={NAMESPACE}", "--timeout=120s")
    kubectl("wait", "--for=condition=Accepted", "gatewayclass/envoy", "--timeout=60s")


def service_of(cluster: Cluster, namespace: str, gateway: str) -> str:
    """The address inside at which a Gateway's proxies listen."""
    labels = f"gateway.envoyproxy.io/owning-gateway-namespace={namespace}"
    labels += f",gateway.envoyproxy.io/owning-gateway-name={gateway}"
    found = cluster.kubectl.get("services", f"--namespace={NAMESPACE}", f"--selector={labels}")
    return str(found[0]["spec"]["clusterIP"])


def _image(cluster: Cluster, program: str) -> Path:
    path = PROGRAMS / program
    files = {f"usr/bin/{program}": path.read_bytes(), **_libraries(path)}
    archive = cluster.home.data / "images" / f"{program}.tar"
    return write_files_image(archive, f"docker.io/sluice/{program}:1", files, entrypoint=[f"/usr/bin/{program}"])


def _libraries(program: Path) -> dict[str, bytes]:
    """The shared libraries of this machine that a program needs; none for a static one."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {path.lstrip("/"): Path(path).read_bytes() for path in LIBRARY.findall(listed)}


def _make_certificates(cluster: Cluster) -> None:
    """Secrets for what Envoy and its controller say to each other; those that are there stay."""
    command = [str(PROGRAMS / "envoy-gateway"), "certgen", "--disable-topology-injector"]
    done = cluster.run(["env", f"ENVOY_GATEWAY_NAMESPACE={NAMESPACE}", *command])
    if done.returncode != 0:
        raise ClusterError(f"envoy-gateway made no certificates:\n{done.stdout}{done.stderr}")
