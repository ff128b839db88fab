"""Fixtures of all tests, and one loud line about servers that were not there."""

from __future__ import annotations

import os
from typing import Any

import pytest
import servers
from servers import minio, own_minio, redis_address, s3

__all__ = ["minio", "own_minio", "redis_address", "s3"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of many minutes run where nothing may be left out (`.ci/run`), or when asked for by their mark."""
    if os.environ.get("SLUICE_TESTS_COMPLETE") == "1" or "exhaustive" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands the names of missing servers to the process that prints."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["missing"] = dict(servers.missing)


def pytest_configure(config: pytest.Config) -> None:
    """Hear of it where tests run on several workers."""
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers())


class _Workers:
    def pytest_testnodedown(self, node: Any) -> None:
        servers.missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers were missing, where nobody overlooks it."""
    for name, advice in servers.missing.items():
        terminalreporter.write_line(f"!! TESTS WITHOUT {name.upper()} WERE SKIPPED: {advice}", red=True, bold=True)
