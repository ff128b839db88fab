"""Digests in manifests and settings: what is written, and what stays as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from sluice.settings.operation import Pipeline
from tests.manifests.rendered import OVERLAYS, pods, render
from tools.images.errors import ImageError
from tools.images.pins import Pin, in_kustomization, in_settings, pin_all
from tools.images.places import NAMES, ROOT, version
from tools.images.release import check_registry

PINS = {
    "pipeline": Pin("registry.example.com/team/sluice/pipeline-python", "sha256:" + "a" * 64),
    "serving": Pin("registry.example.com/team/sluice/serving-python", "sha256:" + "b" * 64),
    "alibi": Pin("registry.example.com/team/sluice/alibi-python", "sha256:" + "c" * 64),
}
FOLDERS = [*(f"overlays/{name}" for name in OVERLAYS), "examples/payload-ledger", "examples/explainer"]
UPSTREAM = {"docker.io/library/redis:7.4", "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z"}
"""By their makers' tags: whoever mirrors them names the digests of the mirror under `images:` of the overlay."""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(ROOT / "manifests", tmp_path / "manifests"))


def test_every_overlay_and_the_settings_name_the_digests(manifests: Path) -> None:
    changed = pin_all(manifests, PINS)

    for overlay in sorted((manifests / "overlays").iterdir()):
        images = {each["name"]: each for each in yaml.safe_load((overlay / "kustomization.yaml").read_text())["images"]}
        for target, pin in PINS.items():
            assert images[NAMES[target]] == {"name": NAMES[target], "newName": pin.name, "digest": pin.digest}
    settings = yaml.safe_load((manifests / "settings/cluster.yaml").read_text())["pipeline"]
    assert (settings["image"], settings["serving_image"]) == (str(PINS["pipeline"]), str(PINS["serving"]))
    assert pin_all(manifests, PINS) == []
    assert manifests / "settings/cluster.yaml" in changed


@pytest.mark.parametrize("folder", FOLDERS)
def test_after_a_release_every_container_of_ours_is_named_by_its_digest(manifests: Path, folder: str) -> None:
    pin_all(manifests, PINS)

    documents = render(manifests / folder)
    images = [container["image"] for pod in pods(documents) for container in pod.containers]
    ours = [image for image in images if "sluice/" in image]
    assert ours
    assert set(ours) <= {str(pin) for pin in PINS.values()}
    assert set(images) - set(ours) <= UPSTREAM


def test_nothing_but_the_images_changes(manifests: Path) -> None:
    for path in pin_all(manifests, PINS):
        before = (ROOT / "manifests" / path.relative_to(manifests)).read_text().splitlines()
        after = path.read_text().splitlines()
        gone = [line for line in before if line not in after]
        assert all("newTag" in line or "digest" in line or "sluice/" in line for line in gone)
        assert [line for line in before if line.startswith("#")] == [line for line in after if line.startswith("#")]


def test_an_entry_at_the_end_and_one_with_a_digest_are_replaced() -> None:
    text = "images:\n- name: sluice/serving-python\n  newName: old/sluice/serving-python\n  digest: sha256:00\n"
    after, count = in_kustomization(text, "serving", PINS["serving"])
    assert count == 1
    assert yaml.safe_load(after)["images"] == [
        {"name": "sluice/serving-python", "newName": PINS["serving"].name, "digest": PINS["serving"].digest}
    ]


def test_an_image_outside_of_the_pipeline_section_is_another_one() -> None:
    text = "other:\n  image: x:1\npipeline:\n  image: y:1\nlast:\n  image: z:1\n"
    after, count = in_settings(text, "pipeline", PINS["pipeline"])
    assert (count, yaml.safe_load(after)["other"], yaml.safe_load(after)["last"]) == (
        1,
        {"image": "x:1"},
        {"image": "z:1"},
    )
    assert yaml.safe_load(after)["pipeline"]["image"] == str(PINS["pipeline"])


def test_files_that_name_no_image_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    with pytest.raises(ImageError, match="no file names"):
        pin_all(tmp_path, PINS)


@pytest.mark.parametrize("name", ["https://registry.example.com", "Registry", "host/", "host name", ""])
def test_a_registry_that_no_name_can_begin_with_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="is no registry"):
        check_registry(name)


@pytest.mark.parametrize("name", ["localhost:5000", "registry.example.com/team/a_b", "10.0.0.1:443/x"])
def test_a_registry_may_have_a_port_and_a_path(name: str) -> None:
    check_registry(name)


def test_the_settings_name_the_images_that_are_built() -> None:
    defaults = Pipeline()
    assert defaults.image == f"{NAMES['pipeline']}:{version()}"
    assert defaults.serving_image == f"{NAMES['serving']}:{version()}"
    assert defaults.alibi_image == f"{NAMES['alibi']}:{version()}"
