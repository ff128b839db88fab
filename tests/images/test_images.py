"""What is true of every image."""

from __future__ import annotations

import json

import pytest
from containers import USER, Image

from tools.images import inputs
from tools.images.build import Built, build
from tools.images.places import version

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

LOOK = """
import importlib.util, json, os, shutil, sys
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "prefix": sys.prefix,
    "python3": shutil.which("python3"),
    "here": os.getcwd(),
    "found": sorted(os.listdir(".")),
    "programs": [p for p in sys.argv[1].split() if shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin")],
    "modules": [m for m in sys.argv[2].split() if importlib.util.find_spec(m)],
}))
"""
WRITE = """
import os
def writes(folder):
    try:
        open(os.path.join(folder, "probe"), "w").close()
    except OSError:
        return False
    return True
print([folder for folder in ("/", "/app", "/opt/sluice", "/etc", "/var/lib/sluice", "/tmp") if writes(folder)])
"""
LEFT = """
import os
print([p for root in ("/root", "/var/cache", "/var/lib/apt/lists", "/tmp", "/run/secrets")
       for folder, _, files in os.walk(root) for p in files])
"""
COMPILERS = "gcc cc g++ c++ clang ld as make tcc go rustc cargo"
DETECTORS = """
import importlib, pkgutil
import sluice.watch.alibi as package
names = [found.name for found in pkgutil.iter_modules(package.__path__, package.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""
INSTALLERS = "pip pip3 uv uvx conda debootstrap install-packages"


def look(built: Built) -> dict[str, object]:
    """What is in the image."""
    words = (
        f"{COMPILERS} {INSTALLERS}",
        "torch kfp pip ensurepip mypy feast kserve alibi alibi_detect sluice sluice_serving",
    )
    found: dict[str, object] = json.loads(Image(built.reference).python(LOOK, *words))
    return found


def test_it_runs_as_nobody_from_its_own_environment(built: Built) -> None:
    found = look(built)
    assert found["user"] == [USER, USER]
    assert (found["prefix"], found["python3"]) == ("/opt/sluice", "/opt/sluice/bin/python3")
    assert (found["here"], found["found"]) == ("/app", [] if built.target == "alibi" else ["feature_repo", "use_cases"])


def test_no_compiler_no_installer_and_only_the_packages_it_is_for(built: Built) -> None:
    found = look(built)
    assert found["programs"] == []
    own = {"pipeline": "torch kfp feast kserve", "serving": "feast kserve", "alibi": "alibi alibi_detect"}
    assert found["modules"] == [*own[built.target].split(), "sluice", "sluice_serving"]


def test_the_detectors_and_explainers_can_be_imported(alibi: Built) -> None:
    assert int(Image(alibi.reference).python(DETECTORS).split()[-1]) > 10


def test_only_tmp_can_be_written(built: Built) -> None:
    assert Image(built.reference).python(WRITE) == "['/tmp']"


def test_no_cache_and_no_secret_of_the_build_is_left(built: Built) -> None:
    said = Image(built.reference).run("-c", LEFT, entrypoint="python3").stdout
    assert said.strip() in ("[]", "['.bashrc', '.profile']")


def test_labels_say_what_it_is_and_of_which_commit(built: Built) -> None:
    configuration = Image(built.reference).configuration()
    labels = configuration["Labels"]
    assert isinstance(labels, dict)
    told = {name.removeprefix("org.opencontainers.image."): value for name, value in labels.items()}
    assert told["title"] == f"sluice {built.target}"
    assert (told["version"], told["licenses"]) == (version(), "Apache-2.0")
    assert told["revision"] == built.revision
    assert "source" in told
    assert configuration["User"] == f"{USER}:{USER}"


def test_what_has_not_changed_is_not_built_again(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    again = build([built.target], built.base if built.base.startswith("docker") else "local")
    assert again == [built]
    assert "building" not in capsys.readouterr().out


def test_a_record_tells_sizes_and_inputs(built: Built) -> None:
    assert 0 < built.compressed < built.unpacked
    assert len(built.inputs) == len(inputs.digest(built.target, {}))
