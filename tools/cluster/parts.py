"""The servers of the cluster: what each is started with, and how one hears that it is ready.

They all run as processes inside the cluster's namespaces; only what tests apply runs in pods.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.cluster.places import (
    API,
    CONTAINERD_SOCKET,
    DATA_INSIDE,
    NODE,
    NODE_ADDRESS,
    POD_RANGE,
    PROGRAMS,
    SERVICE_RANGE,
    Home,
)

ETCD = "http://127.0.0.1:2379"
KSERVE_WEBHOOK = "https://127.0.0.1:9443"
METRICS_PORT = 4443


@dataclass(frozen=True)
class Part:
    """One server. `ready` is a URL that answers 200, or a socket that takes a connection."""

    name: str
    command: list[str]
    ready: str
    environment: dict[str, str] = field(default_factory=dict)


def storage(home: Home) -> list[Part]:
    """What the API server and the kubelet need."""
    etcd = [f"--data-dir={home.data}/etcd", "--log-level=warn", "--unsafe-no-fsync", f"--listen-client-urls={ETCD}"]
    return [
        Part("etcd", [_program("etcd"), *etcd, f"--advertise-client-urls={ETCD}"], f"{ETCD}/health"),
        Part(
            "containerd",
            ["containerd", f"--config={home.settings}/containerd.toml"],
            f"unix:{CONTAINERD_SOCKET}",
        ),
    ]


def api_server(home: Home) -> list[Part]:
    """The API server, which everything after it asks."""
    keys = home.keys
    command = [
        _program("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        f"--advertise-address={NODE_ADDRESS}",
        "--secure-port=6443",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--tls-cert-file={keys}/api-server.crt",
        f"--tls-private-key-file={keys}/api-server.key",
        f"--client-ca-file={keys}/ca.crt",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={keys}/tokens.key",
        f"--service-account-signing-key-file={keys}/tokens.key",
        f"--kubelet-client-certificate={keys}/admin.crt",
        f"--kubelet-client-key={keys}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        *_aggregation(home),
    ]
    return [Part("api-server", command, f"{API}/readyz")]


def _aggregation(home: Home) -> list[str]:
    """How the API server speaks to metrics-server in a user's name."""
    return [
        f"--requestheader-client-ca-file={home.keys}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={home.keys}/front-proxy.crt",
        f"--proxy-client-key-file={home.keys}/front-proxy.key",
    ]


def control_plane(home: Home) -> list[Part]:
    """Controllers and scheduler."""
    controllers = [
        *_own("kube-controller-manager", home, "controller-manager"),
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={home.keys}/tokens.key",
        f"--root-ca-file={home.keys}/ca.crt",
        f"--cluster-signing-cert-file={home.keys}/ca.crt",
        f"--cluster-signing-key-file={home.keys}/ca.key",
        # The time after a load change in which an HPA looks again.
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=20s",
    ]
    scheduler = [*_own("kube-scheduler", home, "scheduler"), "--bind-address=127.0.0.1", "--leader-elect=false"]
    return [
        Part("controller-manager", controllers, "https://127.0.0.1:10257/healthz"),
        Part("scheduler", scheduler, "https://127.0.0.1:10259/healthz"),
    ]


def node(home: Home) -> list[Part]:
    """What makes the machine a node."""
    kubelet = [
        _program("kubelet"),
        f"--kubeconfig={home.kubeconfig('kubelet')}",
        f"--config={home.settings}/kubelet.yaml",
        f"--root-dir={DATA_INSIDE}/kubelet",
        f"--cert-dir={home.data}/kubelet-keys",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_ADDRESS}",
    ]
    proxy = [
        _program("kube-proxy"),
        f"--kubeconfig={home.kubeconfig('proxy')}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_RANGE}",
        f"--hostname-override={NODE}",
        "--healthz-bind-address=127.0.0.1:10256",
        "--nodeport-addresses=127.0.0.1/32",
        # Zero leaves the kernel's connection tracking, which belongs to the whole machine, as it is.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]
    return [
        Part("kubelet", kubelet, "http://127.0.0.1:10248/healthz"),
        Part("proxy", proxy, "http://127.0.0.1:10256/healthz"),
        Part("dns", [_program("coredns"), "-conf", f"{home.settings}/Corefile"], "http://127.0.0.1:8053/health"),
    ]


def additions(home: Home) -> list[Part]:
    """What the cluster has beyond plain Kubernetes; needs its definitions applied first."""
    metrics = [
        *_own("metrics-server", home, "metrics-server"),
        "--bind-address=127.0.0.1",
        f"--secure-port={METRICS_PORT}",
        f"--cert-dir={home.data}/metrics-keys",
        "--kubelet-insecure-tls",
        "--kubelet-use-node-status-port",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
    fake_nodes = [
        _program("kwok"),
        f"--kubeconfig={home.kubeconfig()}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--server-address=127.0.0.1:10247",
        f"--config={home.settings}/kwok.yaml",
    ]
    return [
        Part("metrics-server", metrics, f"https://127.0.0.1:{METRICS_PORT}/livez"),
        Part("kwok", fake_nodes, "http://127.0.0.1:10247/healthz"),
        _kserve(home),
    ]


def _kserve(home: Home) -> Part:
    command = [
        _program("kserve-manager"),
        "--metrics-addr=127.0.0.1:8081",
        "--health-probe-addr=127.0.0.1:8082",
        "--webhook-port=9443",
    ]
    # The controller looks for its webhooks' certificate below TMPDIR.
    environment = {
        "KUBECONFIG": str(home.kubeconfig("kserve")),
        "POD_NAMESPACE": "kserve",
        "TMPDIR": str(home.data / "kserve"),
    }
    return Part("kserve", command, "http://127.0.0.1:8082/readyz", environment)


def _program(name: str) -> str:
    return str(PROGRAMS / name)


def _own(program: str, home: Home, user: str) -> list[str]:
    """A component that authenticates itself, and those who ask it, at the API server."""
    config = home.kubeconfig(user)
    return [
        _program(program),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
    ]
