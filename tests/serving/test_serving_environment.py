"""What the manifests start in the serving image needs no package that the image lacks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORT = """
import importlib, re, sys
from importlib.metadata import packages_distributions

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

kept = {plain(line.partition("==")[0]) for line in open(sys.argv[1]) if re.match(r"[\\w.-]+==", line)} | {"sluice"}
hidden = {name for name, whose in packages_distributions().items() if not kept & set(map(plain, whose))}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"{name} is not in the serving image", name=name)

sys.meta_path.insert(0, Hidden())
assert {"torch", "numba"} <= hidden and "polars" not in hidden
importlib.import_module(sys.argv[2])
"""
STARTED = {
    module
    for path in (ROOT / "manifests").rglob("*.yaml")
    for module in re.findall(r"command: \[python, -m, (sluice_serving[\w.]*)", path.read_text())
}


@pytest.mark.parametrize("module", sorted(STARTED))
def test_it_starts_with_the_packages_of_the_serving_image(module: str) -> None:
    package = ROOT / "serving" / Path(*module.split("."))
    name = f"{module}.__main__" if package.is_dir() else module
    command = [sys.executable, "-c", IMPORT, str(ROOT / "requirements" / "serving.txt"), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_manifests_start_something() -> None:
    assert {"sluice_serving", "sluice_serving.explained", "sluice_serving.watched"} <= STARTED
