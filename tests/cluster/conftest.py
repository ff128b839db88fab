"""Fixtures of the tests on a real Kubernetes.

A cluster that was started by hand (`python -m tools.cluster up`) is used as it is and left running; otherwise the
tests start one and end it, however they end themselves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from stack import MINIO, NAMESPACE, Stack, built, running

from tests.cluster.kubeflow.graph import Values
from tests.cluster.kubeflow.runner import Pods
from tools.cluster import cluster as clusters
from tools.cluster.cluster import Cluster
from tools.cluster.kubectl import Kubectl, Object
from tools.cluster.places import home
from tools.cluster.relay import Relay

Apply = Callable[..., str]
WaitFor = Callable[..., Any]
Reach = Callable[[str, int], str]

ORDER = ("test_apply.py", "test_pipeline.py", "test_endpoint.py")
LAST = ("test_cluster_rollout.py", "test_cluster_ends.py")
"""What needs no stack goes before it fills a small machine: overlays want the namespace free. The endpoint then has the
pipeline's champion; a rollout leaves servers behind, and versions that no gate has seen."""
FAILED = pytest.StashKey[bool]()
IMPORTED = pytest.StashKey[Future[None]]()
BY_HAND = pytest.StashKey[bool]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the cluster, and its files have an order."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.cluster)
            # Whichever comes first starts the cluster, builds and imports images, and runs a pipeline.
            item.add_marker(pytest.mark.timeout(1500))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool, int]:
    name = item.path.name
    place = ORDER.index(name) if name in ORDER else len(ORDER)
    return name in LAST, "stack" in getattr(item, "fixturenames", ()), place


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know whether their test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster; two test runs at once take turns."""
    place = home()
    with clusters.held(place, wait=True):
        there = clusters.running(place)
        request.session.stash[BY_HAND] = there is not None
        if there is not None:
            with importing(there, request.session):
                yield there
            return
        clusters.prepare()
        started = clusters.up(place, ends_with_caller=True)
        with importing(started, request.session):
            yield started
        clusters.down(place)


@contextmanager
def importing(cluster: Cluster, session: pytest.Session) -> Iterator[None]:
    """Our images come in, minutes of reading and writing, while the tests run that need none of them."""

    def bring() -> None:
        for target in ("pipeline", "serving"):
            cluster.import_image(built(target))

    pool = ThreadPoolExecutor(1)
    if any("stack" in getattr(item, "fixturenames", ()) for item in session.items):
        session.stash[IMPORTED] = pool.submit(bring)
    try:
        yield
    finally:
        # Where the tests were stopped before, the cluster's end is the import's.
        pool.shutdown(wait=False, cancel_futures=True)


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """kubectl with every right. `kubectl.as_service_account(namespace, name)` has only that account's."""
    return cluster.kubectl


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own under the restricted Pod Security Standard."""
    name = f"test-{secrets.token_hex(4)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    if request.node.stash.get(FAILED, False):
        print(kubectl.in_namespace(name)("get", "pods,events", "--output=wide"))
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def apply(kubectl: Kubectl) -> Iterator[Apply]:
    """Apply objects, `apply(first, second, …)`; they are deleted after the test."""
    applied: list[Object] = []

    def run(*objects: Object) -> str:
        applied.extend(objects)
        return kubectl.apply(*objects)

    yield run
    for each in reversed(applied):
        group, _, version = each["apiVersion"].rpartition("/")
        kind = f"{each['kind']}.{version}.{group}" if group else each["kind"]
        place = each["metadata"].get("namespace", "default")
        kubectl("delete", kind, each["metadata"]["name"], f"--namespace={place}", "--wait=false", "--ignore-not-found")


@pytest.fixture
def wait_for() -> WaitFor:
    """`wait_for("what", check, within=60)` asks `check()` until its answer is true, and returns that answer."""

    def wait(what: str, check: Callable[[], Any], within: float = 60) -> Any:
        deadline = time.monotonic() + within
        while not (answer := check()):
            if time.monotonic() > deadline:
                pytest.fail(f"waited {within:.0f} s in vain for {what}; the last answer was {answer!r}")
            time.sleep(0.3)
        return answer

    return wait


@pytest.fixture
def reach(cluster: Cluster) -> Iterator[Reach]:
    """`reach(address, port)` gives the loopback URL that leads to an address inside the cluster."""
    with ExitStack() as relays:

        def open_relay(address: str, port: int) -> str:
            return f"http://{relays.enter_context(Relay(cluster.namespace, address, port)).address}"

        yield open_relay


@pytest.fixture(scope="session")
def import_image(cluster: Cluster) -> Callable[[Path], None]:
    """Make the images of an OCI or docker archive usable in pods, under their full names."""
    return cluster.import_image


@pytest.fixture(scope="session")
def stack(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The `local` overlay in the images of this checkout, with a small raw table in its store."""
    request.session.stash[IMPORTED].result()
    by_hand = request.session.stash[BY_HAND]
    with running(cluster, tmp_path_factory.mktemp("stack"), by_hand=by_hand) as stack:
        yield stack


@pytest.fixture(scope="session")
def trained(stack: Stack) -> dict[str, Values]:
    """The outputs of the training pipeline's steps, run as pods."""
    package = stack.package("training")
    pods = Pods(stack.cluster.kubectl, NAMESPACE, "s3://sluice/pipelines", MINIO, "sluice-pipeline", tries=1)
    return pods.run(package)
