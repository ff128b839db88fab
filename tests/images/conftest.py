"""Images built for real, and containers of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import Container, Image

from tools.images.build import Built, build

# The small world of the server's tests is served by the image as well.
sys.path.append(str(Path(__file__).parents[1] / "serving"))

from serving_world import deployed, history_state, world

__all__ = ["deployed", "history_state", "world"]

BASE = os.environ.get("SLUICE_IMAGE_BASE")
"""Where no registry is reachable the base is made with debootstrap, without asking: `local` saves the attempt."""


@pytest.fixture(scope="session")
def serving() -> Built:
    """The serving image, built when anything in it changed."""
    return build(["serving"], BASE)[0]


@pytest.fixture(scope="session")
def pipeline() -> Built:
    """The pipeline image, built when anything in it changed."""
    return build(["pipeline"], BASE)[0]


@pytest.fixture(scope="session")
def alibi() -> Built:
    """The image of detectors and explainers, built when anything in it changed."""
    return build(["alibi"], BASE)[0]


@pytest.fixture(params=["serving", "pipeline", "alibi"])
def built(request: pytest.FixtureRequest) -> Built:
    """Each image in turn."""
    found: Built = request.getfixturevalue(request.param)
    return found


Start = Callable[..., Container]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start containers: `start(image, *words)`; all are removed in the end."""
    containers: list[Container] = []

    def started(image: Image, *words: str) -> Container:
        containers.append(image.start(*words))
        return containers[-1]

    yield started
    for container in containers:
        container.remove()
