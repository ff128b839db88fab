"""The other environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from servers.process import without

from sluice.errors import WatchError
from sluice.watch import door


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the other environment."""
    try:
        return door.interpreter()
    except WatchError:
        without("alibi", "`make setup-alibi` sets its environment up")
