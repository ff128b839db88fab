"""The serving image serves: a signed version, the feature repository in the image, scores as computed offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Start
from containers import Image, given_to_the_image
from serving_world import Deployed, WorldTables, body, instance

from sluice.features.schema import to_matrix
from tools.images.build import Built
from tools.images.sizes import LIMITS

pytestmark = [pytest.mark.images, pytest.mark.timeout(1800)]

ASK = """
import sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8080" + sys.argv[1], headers={"content-type": "application/json"})
with urllib.request.urlopen(request, sys.argv[2].encode() if len(sys.argv) > 2 else None, timeout=30) as answer:
    print(answer.read().decode())
"""
INSIDE = "/var/lib/sluice"


@pytest.fixture
def state(deployed: Deployed, history_state: Path, tmp_path: Path) -> Path:
    """What a pod would have under /var/lib/sluice."""
    folder = tmp_path / "state"
    shutil.copytree(deployed.folder, folder / "version")
    shutil.copytree(history_state, folder / "online")
    (folder / "keys").mkdir()
    shutil.copy(deployed.keys / "gate.pub", folder / "keys")
    return given_to_the_image(folder)


def arguments(digest: str) -> list[str]:
    """Of the server, in the image."""
    folders = {name: f"{INSIDE}/{name}" for name in ("online", "keys")}
    options = {"digest": digest, "host": "0.0.0.0", "port": "8080", **folders}
    return [f"{INSIDE}/version", *(word for name, value in options.items() for word in (f"--{name}", value))]


def test_it_answers_v1_and_v2_with_the_scores_of_the_offline_computation(
    serving: Built, world: WorldTables, deployed: Deployed, state: Path, start: Start
) -> None:
    server = start(Image(serving.reference, {state: INSIDE}), *arguments(deployed.digest))
    server.eventually(ASK, "/v2/health/ready")
    first = instance(world.day.row(0, named=True))

    answer = json.loads(server.eventually(ASK, "/v1/models/fraud:predict", body(first).decode()))

    expected = to_matrix(deployed.schema, world.rows[:1])
    prediction = answer["predictions"][0]
    assert np.array_equal(np.array(prediction["features"], dtype=np.float32), expected[0])
    assert prediction["score"] == pytest.approx(float(deployed.graph.score(expected)[0]), abs=1e-6)
    assert answer["model_version"] == deployed.digest
    assert json.loads(server.eventually(ASK, "/v2/models/fraud"))["name"] == "fraud"
    assert server.stop() == 0


def test_a_version_of_another_digest_is_refused(serving: Built, deployed: Deployed, state: Path, start: Start) -> None:
    server = start(Image(serving.reference, {state: INSIDE}), *arguments("0" * 64))

    assert server.status() == 3
    assert "0000" in server.log()


def test_it_stays_small(serving: Built) -> None:
    compressed, unpacked = LIMITS["serving"]
    assert serving.compressed < compressed * 10**6
    assert serving.unpacked < unpacked * 10**6
