"""Counters are a process's own, whatever was imported first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import feast
from prometheus_client import generate_latest
from sluice_serving.counters import CollectorRegistry, Counter

for _ in range(2):
    registry = CollectorRegistry()
    Counter("asked", "Questions", ["who"], registry=registry).labels("me").inc()
    print(registry.get_sample_value("asked_total", {"who": "me"}))
"""


def test_two_registries_do_not_share_counts_after_feast_was_imported(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.0", "1.0"]
