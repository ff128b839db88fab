"""Where things lie, and what the images are called."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CONTAINERFILE = ROOT / "Containerfile"
PREFIX = "docker.io/"
"""What engines and Kubernetes put before a name without a registry."""

NAMES = {
    "pipeline": "sluice/pipeline-python",
    "serving": "sluice/serving-python",
    "alibi": "sluice/alibi-python",
}
"""Target of the Containerfile, and the image's name under any registry."""


def home() -> Path:
    """`$SLUICE_IMAGES_HOME`, or `.sluice/images` in the checkout: archives, records, bills of materials."""
    folder = Path(os.environ.get("SLUICE_IMAGES_HOME") or ROOT / ".sluice/images").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def version() -> str:
    """The project's version: the images' tag."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return str(found)


def reference(target: str) -> str:
    """The image's full local name, with its tag."""
    return f"{PREFIX}{NAMES[target]}:{version()}"
