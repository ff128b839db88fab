"""Fixtures of all tests, and one loud line about servers that were not there."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import servers
from servers import kubeflow_registry, minio, own_minio, own_redis, redis_address, s3, spark, tls_minio

__all__ = ["kubeflow_registry", "minio", "own_minio", "own_redis", "redis_address", "s3", "spark", "tls_minio"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of many minutes run where nothing may be left out (`.ci/run`), or when asked for by their mark.

    Those of the cluster and the images, which need root and a machine to themselves, only when asked for:
    `make test-cluster`.
    """
    asked_for = config.option.markexpr or ""
    complete = os.environ.get("SLUICE_TESTS_COMPLETE") == "1"
    wanted = {
        "exhaustive": complete or "exhaustive" in asked_for,
        "cluster": "cluster" in asked_for,
        "images": "images" in asked_for,
    }
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in wanted if not wanted[mark])]
    left = set(left_out)
    items[:] = [item for item in items if item not in left]
    if not wanted["cluster"]:
        _put_long_files_first(items)
    config.hook.pytest_deselected(items=left_out)


def _put_long_files_first(items: list[pytest.Item]) -> None:
    """A file of minutes that starts last keeps one core busy while the other has nothing left to do."""
    seconds: Counter[Path] = Counter()
    for item in items:
        seconds[item.path] += 180 if item.get_closest_marker("exhaustive") else 0
        seconds[item.path] += 15 if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: -seconds[item.path])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands the names of missing servers to the process that prints."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["missing"] = dict(servers.missing)


# The same examples in every run, and no verdict by a clock: a busy machine makes no test fail.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how hypothesis draws, and hear of missing servers where tests run on several workers."""
    hypothesis.settings.load_profile("repeatable")
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(_Workers())


class _Workers:
    def pytest_testnodedown(self, node: Any) -> None:
        servers.missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real servers were missing, where nobody overlooks it."""
    for name, advice in servers.missing.items():
        terminalreporter.write_line(f"!! TESTS WITHOUT {name.upper()} WERE SKIPPED: {advice}", red=True, bold=True)
