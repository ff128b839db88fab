"""What a compiled package gives each step: the keys of its role, and nothing that the restricted standard forbids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.settings import read_use_case
from sluice.storage.roles import ROLES
from sluice_pipelines.packages import compile_packages
from sluice_pipelines.rights import ROLE

ROOT = Path(__file__).parents[2]
PACKAGES = ("fraud-training", "fraud-gate-selftest", "fraud-scoring", "fraud-monitoring")
SIGNS, VERIFIES = {"gate", "decide"}, {"score", "gather", "judge"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Kubernetes' part of every step, by package and step."""
    folder = tmp_path_factory.mktemp("packages")
    use_case = read_use_case(
        ROOT / "use_cases" / "fraud.yaml", overlays=[ROOT / "manifests" / "settings" / "cluster.yaml"]
    )
    compile_packages(use_case, folder)
    found = {}
    for name in PACKAGES:
        _, platform = yaml.safe_load_all((folder / f"{name}.yaml").read_text())
        steps = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        found[name] = {step.removeprefix("exec-"): said for step, said in steps.items()}
    return found


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Kubeflow's part of every package."""
    paths = compile_packages(read_use_case(ROOT / "use_cases" / "fraud.yaml"), tmp_path_factory.mktemp("specs"))
    return [next(iter(yaml.safe_load_all(path.read_text()))) for path in paths]


def steps(packages: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [step for package in packages.values() for step in package.items()]


def secrets(step: dict[str, Any]) -> list[str]:
    return [each["secretName"] for kind in ("secretAsEnv", "secretAsVolume") for each in step.get(kind, ())]


def test_each_step_has_the_keys_of_its_role_alone(packages: dict[str, dict[str, Any]]) -> None:
    for name, step in steps(packages):
        roles = [secret for secret in secrets(step) if secret.startswith("sluice-store-")]
        assert roles == [f"sluice-store-{ROLE[name]}"], name
        assert ROLE[name] in ROLES


def test_each_step_has_the_stores_authority_and_readers_of_raw_events_the_pseudonyms_secret(tmp_path: Path) -> None:
    changes = {"storage.ca": "/etc/sluice/ca/ca.crt", "pipeline.store_ca": "sluice-store-ca"}
    changes |= {"data.pseudonym_key": "/etc/sluice/pseudonym/key", "pipeline.pseudonym_secret": "sluice-pseudonym"}
    use_case = read_use_case(ROOT / "use_cases" / "fraud.yaml", changes)
    with_secret = set()
    for path in compile_packages(use_case, tmp_path):
        _, platform = yaml.safe_load_all(path.read_text())
        for name, step in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items():
            mounted = [(each["configMapName"], each["mountPath"]) for each in step["configMapAsVolume"]]
            assert ("sluice-store-ca", "/etc/sluice/ca") in mounted, name
            with_secret |= {name.removeprefix("exec-")} if "sluice-pseudonym" in secrets(step) else set()
    assert with_secret == {"ingest", "score", "gather"}


def test_every_output_is_in_the_table_of_roles(specs: list[dict[str, Any]]) -> None:
    for spec in specs:
        for name, component in spec["components"].items():
            step = name.removeprefix("comp-")
            if "executorLabel" not in component:
                continue
            given = component.get("outputDefinitions", {}).get("artifacts", {})
            assert {f"{step}/{output}" for output in given} <= set(ROLES[ROLE[step]].gives), step


def test_every_input_is_readable_for_the_role_of_its_step(specs: list[dict[str, Any]]) -> None:
    for spec in specs:
        for step, output in _read(spec["root"]["dag"], spec["components"]):
            assert output in ROLES[ROLE[step]].takes, f"{step} reads {output}"


def test_only_steps_that_write_decisions_have_the_gates_key(packages: dict[str, dict[str, Any]]) -> None:
    with_key = {name for name, step in steps(packages) if "sluice-gate-key" in secrets(step)}
    assert with_key == SIGNS == {name for name, role in ROLE.items() if ROLES[role].decides} - {"gate-selftest"}
    (mount,) = packages["fraud-training"]["gate"]["secretAsVolume"]
    assert mount["mountPath"] == "/etc/sluice/keys"
    (public,) = packages["fraud-scoring"]["score"]["configMapAsVolume"]
    assert (public["configMapName"], public["mountPath"]) == ("sluice-public-keys", "/etc/sluice/keys")
    with_public = {name for name, step in steps(packages) if "sluice-public-keys" in str(step.get("configMapAsVolume"))}
    assert with_public == VERIFIES


def test_only_materialise_has_the_password_of_redis(packages: dict[str, dict[str, Any]]) -> None:
    assert {name for name, step in steps(packages) if "sluice-redis" in secrets(step)} == {"materialise"}


def test_steps_fit_the_restricted_standard_and_write_where_there_is_a_volume(
    packages: dict[str, dict[str, Any]],
) -> None:
    for _, step in steps(packages):
        context = step["securityContext"]
        assert context["runAsNonRoot"] is True and int(context["runAsUser"]) == int(context["runAsGroup"]) == 65532
        mounts = {each["mountPath"]: each["sizeLimit"] for each in step["emptyDirMounts"]}
        assert set(mounts) == {"/tmp", "/var/lib/sluice"} and all(mounts.values())
        labels = step["podMetadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "sluice"
        assert labels["app.kubernetes.io/component"] == "pipeline"


def _read(
    dag: dict[str, Any], components: dict[str, Any], outside: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    """(step, producing step/output) of every artifact that a step takes, those from outside of its part too.

    Args:
        outside: what the part's own inputs are.
    """
    found = []
    for task in dag["tasks"].values():
        name = task["componentRef"]["name"]
        made = {}
        for key, one in task.get("inputs", {}).get("artifacts", {}).items():
            if "componentInputArtifact" in one:
                made[key] = (outside or {})[one["componentInputArtifact"]]
            else:
                output = one["taskOutputArtifact"]
                made[key] = f"{output['producerTask']}/{output['outputArtifactKey']}"
        inner = components[name].get("dag")
        if inner is not None:
            found += _read(inner, components, made)
            continue
        found += [(name.removeprefix("comp-"), each) for each in made.values() if not each.startswith("for-loop")]
    return found
