"""A store in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.settings.operation import Storage
from sluice.storage import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(Storage(url=str(tmp_path / "store")))
