"""What the overlays hold, and that what they tell the code is what the code reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from sluice.settings import UseCase
from sluice.storage.roles import ROLES
from sluice_serving import environment
from sluice_serving.arguments import read_arguments
from sluice_serving.exporter.__main__ import parser as exporter_parser
from sluice_serving.updater import health
from sluice_serving.updater.__main__ import parser as updater_parser
from tests.manifests.rendered import (
    MANIFESTS,
    OVERLAYS,
    ROOT,
    identity,
    named,
    of_kind,
    overlay,
    pods,
    render,
    rendered,
    turned_on,
)

CLUSTER_WIDE = {"Namespace", "PriorityClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
EXAMPLES = sorted(path.parent.name for path in (MANIFESTS / "examples").glob("*/kustomization.yaml"))


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_store_is_told_with_the_variables_that_the_server_reads(name: str) -> None:
    data = named(overlay(name), "ConfigMap", "sluice-store")["data"]
    read = {value for key, value in vars(environment).items() if key.startswith("STORE_")}
    assert set(data) == read
    assert environment.storage_from(data).url.startswith("s3://")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_launcher_takes_the_steps_own_keys_for_the_store_of_the_server(name: str) -> None:
    documents = overlay(name)
    launcher = named(documents, "ConfigMap", "kfp-launcher")["data"]
    store = named(documents, "ConfigMap", "sluice-store")["data"]
    assert launcher["defaultPipelineRoot"].startswith(f"{store['SLUICE_STORE_URL']}/pipelines")
    provider = yaml.safe_load(launcher["providers"])["s3"]["default"]
    assert provider["credentials"] == {"fromEnv": True}
    endpoint = re.sub(r"^https?://", "", store["SLUICE_STORE_ENDPOINT"])
    assert provider.get("endpoint", "") == endpoint
    assert provider.get("disableSSL", False) is (store["SLUICE_STORE_ALLOW_HTTP"] == "true")


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_server_is_started_with_options_that_it_has(name: str) -> None:
    (server,) = of_kind(overlay(name), "InferenceService")
    container = server["spec"]["predictor"]["containers"][0]
    given = read_arguments([argument.replace("$(SLUICE_VERSION)", "champion") for argument in container["args"]])
    assert (given.source.model, given.source.digest, given.port) == ("fraud", "champion", 8080)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {str(given.keys), str(given.source.work)} <= mounts
    assert container["command"] == ["python", "-m", "sluice_serving"]


@pytest.mark.parametrize("name", ["standard", "existing", "knative"])
def test_an_authority_for_the_store_is_where_the_server_looks_for_it(name: str, tmp_path: Path) -> None:
    documents = render(turned_on(tmp_path, name, "store-ca"))
    path = named(documents, "ConfigMap", "sluice-store")["data"]["SLUICE_STORE_CA"]
    if name != "existing":
        pod = named(documents, "Deployment", "exporter")["spec"]["template"]["spec"]
        assert "/etc/sluice/ca" in {each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        assert {"name": "store-ca", "configMap": {"name": "sluice-store-ca"}} in pod["volumes"]
    (server,) = of_kind(documents, "InferenceService")
    predictor = server["spec"]["predictor"]
    (mount,) = (each for each in predictor["containers"][0]["volumeMounts"] if each["name"] == "store-ca")
    (volume,) = (each for each in predictor["volumes"] if each["name"] == "store-ca")
    assert path == f"{mount['mountPath']}/ca.crt"
    assert volume["configMap"]["name"] == "sluice-store-ca"


@pytest.mark.parametrize("name", ["local", "standard", "knative"])
def test_each_caller_of_redis_has_its_own_user_and_password(name: str) -> None:
    for pod in pods(overlay(name)):
        for container in pod.containers:
            given = {each["name"]: each for each in container.get("env", ())}
            if "SLUICE_REDIS" not in given:
                continue
            user = pod.labels["app.kubernetes.io/component"]
            assert given["SLUICE_REDIS_USER"]["value"] == user
            assert given["SLUICE_REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] == f"{user}-password"
    script = "".join(
        named(overlay(name), "StatefulSet", "redis")["spec"]["template"]["spec"]["containers"][0]["command"]
    )
    for user in ("server", "updater", "producer"):
        assert f"user {user} on >${user.upper()}_PASSWORD $(cat /etc/redis/{user}.acl)" in script
        assert f"{user}.acl" in named(overlay(name), "ConfigMap", "sluice-redis")["data"]


@pytest.mark.parametrize("name", ["local", "standard", "knative"])
def test_the_updater_is_started_with_options_that_it_has(name: str) -> None:
    container = named(overlay(name), "Deployment", "updater")["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "sluice_serving.updater"]
    given = updater_parser().parse_args(container["args"])
    assert (given.port, given.use_case) == (9090, Path("use_cases/fraud.yaml"))
    assert str(given.work) in {mount["mountPath"] for mount in container["volumeMounts"]}
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {health.LIVE, health.READY}


@pytest.mark.parametrize("name", ["standard", "knative"])
def test_the_exporter_is_started_with_options_that_it_has_and_its_own_keys(name: str) -> None:
    container = named(overlay(name), "Deployment", "exporter")["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "sluice_serving.exporter"]
    given = exporter_parser().parse_args(container["args"])
    assert (given.port, given.use_case, given.store) == (9090, Path("use_cases/fraud.yaml"), None)
    assert str(given.keys) in {mount["mountPath"] for mount in container["volumeMounts"]}
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {health.LIVE, health.READY}
    names = {source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source}
    assert names == {"sluice-store-exporter"} and "exporter" in ROLES


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_rollout_is_started_with_the_clusters_settings(name: str) -> None:
    documents = overlay(name)
    (pod,) = (each for each in pods(documents) if each.maker == "Deployment/rollout")
    container = pod.spec["containers"][0]
    (mounted,) = (each for each in pod.spec["volumes"] if each["name"] == "settings")
    files = named(documents, "ConfigMap", mounted["configMap"]["name"])["data"]
    overlays = [argument.split("=", 1)[1] for argument in container["args"] if argument.startswith("--overlay=")]
    laid = [yaml.safe_load(files[Path(each).name])["rollout"]["where"] for each in overlays]
    assert laid[-1] == ("knative" if name == "knative" else "standard")
    keys = yaml.safe_load(files["cluster.yaml"])["storage"]["keys"]
    assert {keys, "/etc/sluice/settings"} <= {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_versions_are_made_after_runs_nothing_itself(name: str) -> None:
    (server,) = of_kind(overlay(name), "InferenceService")
    assert server["metadata"]["annotations"]["serving.kserve.io/stop"] == "true"
    assert not of_kind(overlay(name), "HTTPRoute"), "the rollout's to write: another writer would take the traffic away"


def test_only_local_has_a_store_of_its_own() -> None:
    for name in OVERLAYS:
        found = {identity(document) for document in of_kind(overlay(name), "StatefulSet", "Job")}
        own = {"StatefulSet/minio", "Job/store-setup"} if name == "local" else set()
        assert found - {"StatefulSet/redis"} == own, name


def test_existing_adds_nothing_but_ours_to_one_namespace() -> None:
    documents = overlay("existing")
    kinds = {document["kind"] for document in documents}
    assert not kinds & {*CLUSTER_WIDE, "StatefulSet", "Gateway", "ResourceQuota", "LimitRange", "ClusterRole"}
    for policy in of_kind(documents, "NetworkPolicy"):
        assert policy["spec"]["podSelector"], f"{identity(policy)} locks others in, too"


def test_existing_in_the_users_namespace_is_whole() -> None:
    documents = rendered("examples/beside-kubeflow")
    assert {document["metadata"]["namespace"] for document in documents} == {"team-fraud"}
    for binding in of_kind(documents, "RoleBinding"):
        assert binding["subjects"][0]["namespace"] == "team-fraud"
    (settings,) = (each for each in of_kind(documents, "ConfigMap") if "cluster.yaml" in each["data"])
    told = yaml.safe_load(settings["data"]["cluster.yaml"])
    assert told["rollout"]["cluster"] == {"gateway": "kserve-ingress-gateway", "gateway_namespace": "kserve"}
    assert "sluice-settings" not in {document["metadata"]["name"] for document in documents}


@pytest.mark.parametrize("name", ["local", "standard", "knative"])
def test_the_namespace_enforces_the_restricted_standard_with_quota_and_defaults(name: str) -> None:
    labels = named(overlay(name), "Namespace", "sluice")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {"ResourceQuota", "LimitRange"} <= {document["kind"] for document in overlay(name)}


def test_the_job_makes_the_users_of_the_table() -> None:
    (job,) = (pod for pod in pods(overlay("local")) if pod.maker == "Job/store-setup")
    mounts = {mount["mountPath"] for mount in job.spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/tmp", *(f"/etc/sluice/roles/{role}" for role in ROLES)}
    assert job.spec["containers"][0]["command"] == ["sluice", "init", "--roles", "/etc/sluice/roles"]


def test_the_script_makes_every_secret_that_local_refers_to() -> None:
    script = (MANIFESTS / "overlays" / "local" / "make-secrets").read_text()
    for name in ("sluice-minio-root", "sluice-redis", "sluice-gate-key", "sluice-public-keys"):
        assert name in script
    assert f"for role in {' '.join(ROLES)}; do" in script


def test_settings_for_the_cluster_are_settings() -> None:
    examples = [
        MANIFESTS / "examples" / name for name in ("recurring-run/settings.yaml", "beside-kubeflow/cluster.yaml")
    ]
    for path in [MANIFESTS / "settings" / "cluster.yaml", MANIFESTS / "settings" / "knative.yaml", *examples]:
        _check(yaml.safe_load(path.read_text()), UseCase, path)


def test_the_recurring_run_has_the_clusters_settings() -> None:
    cluster = yaml.safe_load((MANIFESTS / "settings" / "cluster.yaml").read_text())
    recurring = yaml.safe_load((MANIFESTS / "examples" / "recurring-run" / "settings.yaml").read_text())
    assert {**cluster, "data": {"source": "s3://sluice/raw"}} == recurring


def test_training_and_monitoring_recur_one_at_a_time() -> None:
    jobs = {each["metadata"]["name"]: each["spec"] for each in of_kind(rendered("examples/recurring-run"), "CronJob")}
    assert set(jobs) == {"fraud-training", "fraud-monitoring"}
    assert {job["concurrencyPolicy"] for job in jobs.values()} == {"Forbid"}
    args = {name: job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"] for name, job in jobs.items()}
    assert [arg for arg in args["fraud-monitoring"] if arg not in args["fraud-training"]] == ["--pipeline=monitoring"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_render(name: str) -> None:
    for document in rendered(f"examples/{name}"):
        assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "sluice", identity(document)


def test_external_secrets_make_what_standard_refers_to() -> None:
    made = {each["spec"]["target"]["name"] for each in rendered("examples/external-secrets")}
    assert made == {"sluice-gate-key", "sluice-redis", *(f"sluice-store-{role}" for role in ROLES)}


def test_every_file_belongs_to_something() -> None:
    """A file that no kustomization names is forgotten: it is never applied."""
    for path in MANIFESTS.rglob("*.yaml"):
        if path.name != "kustomization.yaml" and path.parent.name != "settings":
            assert path.name in (path.parent / "kustomization.yaml").read_text(), path.relative_to(ROOT)


def _check(document: object, model: type[BaseModel], path: Path) -> None:
    """Every key is one of the settings; values are checked where the file is laid over a use case."""
    if isinstance(document, dict):
        for key, value in document.items():
            assert key in model.model_fields, f"{path.name}: {key}"
            inner = model.model_fields[key].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                _check(value, inner, path)
