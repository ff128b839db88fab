"""What a measurement was made on: every bench says it the same way."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine(*besides: str) -> str:
    """The processor, the cores that this process may use, how busy they are, Python, and what else is named."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    cores = f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    return ", ".join([next(names, platform.machine()), cores, f"Python {platform.python_version()}", *besides])
