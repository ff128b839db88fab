"""Fixtures of all tests, and one loud line about servers that were not there."""

from __future__ import annotations

import pytest
import servers
from servers import minio, own_minio, redis_address, s3

__all__ = ["minio", "own_minio", "redis_address", "s3"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers were missing, where nobody overlooks it."""
    for name, advice in servers.missing.items():
        terminalreporter.write_line(f"!! TESTS WITHOUT {name.upper()} WERE SKIPPED: {advice}", red=True, bold=True)
