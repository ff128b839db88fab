"""The steps of a compiled package run in the pipeline image as Kubeflow calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from containers import Image, given_to_the_image
from serving_world import WorldTables

from sluice.settings import settings_json
from sluice_pipelines.packages import compile_packages
from tools.images.build import Built

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

INSIDE = "/var/lib/sluice"
EVERY_MODULE = """
import importlib, pkgutil
import sluice, sluice_cli, sluice_components, sluice_pipelines, sluice_serving
names = [found.name for package in (sluice, sluice_cli, sluice_components, sluice_pipelines, sluice_serving)
         for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
         if not found.name.endswith("__main__") and not found.name.startswith("sluice.watch.alibi.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
FIT = "import torch; print(torch.nn.Linear(3, 1)(torch.ones(2, 3)).shape, torch.version.cuda is not None)"


def test_every_module_can_be_imported(pipeline: Built) -> None:
    assert int(Image(pipeline.reference).python(EVERY_MODULE).split()[-1]) > 100


def test_torch_is_the_build_with_cuda(pipeline: Built) -> None:
    assert Image(pipeline.reference).python(FIT) == "torch.Size([2, 1]) True"


def test_plan_and_ingest_run_as_the_package_calls_them(pipeline: Built, world: WorldTables, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    (folder / "raw").mkdir(parents=True)
    for path in world.source.iterdir():
        (folder / "raw" / path.name).write_bytes(path.read_bytes())
    image = Image(pipeline.reference, {given_to_the_image(folder): INSIDE})
    use_case = world.use_case.model_copy(
        update={
            "data": world.use_case.data.model_copy(update={"source": f"{INSIDE}/raw"}),
            "storage": world.use_case.storage.model_copy(update={"url": f"{INSIDE}/store"}),
        }
    )
    training = next(path for path in compile_packages(use_case, tmp_path / "packages") if "training" in path.name)
    package = next(iter(yaml.safe_load_all(training.read_text())))

    planned = run_step(image, package, "plan", {"settings": settings_json(use_case), "run_id": "r"}, folder)
    given = {"settings": planned["ingest"], "source": planned["source"], "code": planned["code"], "sample": 1.0}
    run_step(image, package, "ingest", given, folder)

    assert planned["run"] == "r"
    assert (folder / "artifacts/history/events.parquet").exists()


def run_step(
    image: Image, package: dict[str, Any], name: str, parameters: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """The step's output parameters; command and arguments are the package's own."""
    container = package["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
    outputs = package["components"][f"comp-{name}"].get("outputDefinitions", {})
    artifacts = {
        key: {"artifacts": [{"name": key, "type": one["artifactType"], "uri": f"{INSIDE}/artifacts/{key}"}]}
        for key, one in outputs.get("artifacts", {}).items()
    }
    given = {
        "inputs": {"parameterValues": parameters},
        "outputs": {
            "parameters": {key: {"outputFile": f"/tmp/outputs/{key}"} for key in outputs.get("parameters", {})},
            "artifacts": artifacts,
            "outputFile": f"{INSIDE}/{name}.json",
        },
    }
    command = [part.replace("{{$}}", json.dumps(given)) for part in (*container["command"], *container["args"])]
    assert "kfp.dsl.executor_main" in " ".join(command)
    (folder / "artifacts").mkdir(exist_ok=True)
    given_to_the_image(folder)

    done = image.run(*command)

    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads((folder / f"{name}.json").read_text()).get("parameterValues", {})
    return said
