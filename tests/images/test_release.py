"""A release to a real OCI registry, and what names its digests afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from conftest import BASE
from servers import Server, free_port

from sluice_pipelines.packages import GRAPHS
from tools.images.build import Built
from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.pins import Pin, pin_all
from tools.images.places import NAMES, ROOT, home, version
from tools.images.release import compile_packages, push, release

MANIFEST = {"accept": "application/vnd.oci.image.manifest.v1+json"}
USE_CASE = Path("use_cases/fraud.yaml")


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(ROOT / "manifests", tmp_path / "manifests"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry of our own."""
    subprocess.run([ROOT / "tools/servers/build", "registry"], check=True)
    address = f"127.0.0.1:{free_port()}"
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": address},
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(settings))
    program = ROOT / "tools/servers/bin/registry"
    server = Server([str(program), "serve", str(tmp_path / "registry.yaml")], address)
    server.start()
    yield address
    server.kill()
    shutil.rmtree(tmp_path / "registry", ignore_errors=True)


def fetched(registry: str, name: str, what: str) -> tuple[bytes, Any]:
    """A manifest or a blob."""
    answer = httpx.get(f"http://{registry}/v2/{name}/{what}", headers=MANIFEST, timeout=30)
    answer.raise_for_status()
    return answer.content, answer.json()


@pytest.mark.images
@pytest.mark.timeout(1800)
def test_the_image_lies_in_the_registry_under_the_digest_that_the_overlays_name(
    serving: Built, registry: str, manifests: Path, tmp_path: Path
) -> None:
    packages = tmp_path / "packages"
    pins = release(
        f"{registry}/team",
        use_case=USE_CASE,
        targets=["serving"],
        base=BASE,
        manifests=manifests,
        packages=packages,
        modified=True,
    )

    pin, repository = pins["serving"], f"team/{NAMES['serving']}"
    raw, manifest = fetched(registry, repository, f"manifests/{pin.digest}")
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == pin.digest
    assert fetched(registry, repository, f"manifests/{version()}")[0] == raw
    _, configuration = fetched(registry, repository, f"blobs/{manifest['config']['digest']}")
    assert configuration["config"]["Labels"]["org.opencontainers.image.version"] == version()
    assert manifest["config"]["digest"] == f"sha256:{serving.identity}"
    settings = yaml.safe_load((manifests / "settings/cluster.yaml").read_text())
    assert settings["pipeline"]["serving_image"] == f"{registry}/team/{NAMES['serving']}@{pin.digest}"
    assert json.loads((home() / "release.json").read_text()) == {"serving": str(pin)}
    assert {path.name for path in packages.glob("*.yaml")} == {f"fraud-{name}.yaml" for name in GRAPHS}


@pytest.mark.images
@pytest.mark.timeout(1800)
def test_a_registry_that_is_not_there_is_an_error_and_nothing_is_written(serving: Built, manifests: Path) -> None:
    before = {path: path.read_bytes() for path in manifests.rglob("*.yaml")}
    with pytest.raises(ImageError, match="connection refused"):
        release(
            f"127.0.0.1:{free_port()}",
            use_case=USE_CASE,
            targets=["serving"],
            base=BASE,
            manifests=manifests,
            modified=True,
        )
    assert {path: path.read_bytes() for path in manifests.rglob("*.yaml")} == before


def test_the_compiled_packages_run_the_pinned_image(manifests: Path, tmp_path: Path) -> None:
    pins = {target: Pin(f"registry.example.com/{name}", "sha256:" + "a" * 64) for target, name in NAMES.items()}
    pin_all(manifests, pins)
    compile_packages(USE_CASE, manifests / "settings/cluster.yaml", tmp_path)

    for path in tmp_path.glob("*.yaml"):
        document = next(iter(yaml.safe_load_all(path.read_text())))
        containers = [each["container"] for each in document["deploymentSpec"]["executors"].values()]
        images = {container["image"] for container in containers}
        other = {str(pins["alibi"])} if "monitoring" in path.name else set()
        assert images == {str(pins["pipeline"])} | other


def test_docker_is_asked_for_the_digest_of_its_own_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker"
    digests = "other/x@sha256:00 127.0.0.1:1/sluice/serving-python@sha256:11"
    program.write_text(f'#!/bin/sh\n[ "$2" = inspect ] && echo {digests}\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    built = Built("serving", "docker.io/sluice/serving-python:0.1.0", "1", "1", "b", "0.1.0", "abc", 1, 2, "x.tar")
    assert push(Engine("docker"), built, "127.0.0.1:1").digest == "sha256:11"
