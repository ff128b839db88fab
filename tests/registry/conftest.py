"""A clock that ticks, keys, and stores of both kinds with a registry in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from servers import Bucket

from sluice.registry import Keys, Registry, Version
from sluice.settings.operation import Storage
from sluice.storage import Store, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A second goes by at each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time."""
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.ensure(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(Storage(url=str(tmp_path / "store")))


@pytest.fixture(params=["folder", pytest.param("minio", marks=pytest.mark.minio)])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store in a folder and in a real MinIO."""
    if request.param == "folder":
        return open_store(Storage(url=str(tmp_path / "store")))
    bucket: Bucket = request.getfixturevalue("minio")
    return open_store(bucket.storage, credentials=bucket.credentials)


@pytest.fixture
def registry(store: Store, clock: Clock) -> Registry:
    """A registry without keys, in a folder."""
    return Registry(store, "fraud", clock=clock, actor="tester")


@pytest.fixture
def add(tmp_path: Path) -> Callable[..., Version]:
    """Adds a small version to a registry: `add(registry, "a")`."""

    def added(registry: Registry, name: str) -> Version:
        folder = tmp_path / "versions" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_text(f"graph {name}")
        (folder / "card.md").write_text(f"# {name}")
        return registry.add_version(folder, {"settings": name})

    return added
