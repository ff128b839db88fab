"""Runs inside an image: what is installed there, as JSON. Only the standard library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

KEPT = ("Name", "Version", "Summary", "License-Expression", "License", "Home-page")


def python_packages() -> Iterator[dict[str, Any]]:
    """A record a distribution."""
    for each in distributions():
        # Any: what is declared of it lacks `get`.
        about: Any = each.metadata
        held: dict[str, Any] = {key: about[key] for key in KEPT if about.get(key)}
        held["licences"] = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
        yield held


def debian_packages() -> Iterator[dict[str, str]]:
    """A record an installed package of dpkg's list."""
    for block in Path("/var/lib/dpkg/status").read_text().split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(" ")]
        fields = {name: value for name, _, value in lines}
        if fields.get("Status", "").endswith(" installed"):
            yield {name: fields.get(name, "") for name in ("Package", "Version", "Architecture", "Source")}


def system() -> dict[str, str]:
    """The fields of os-release."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    print(json.dumps({"python": list(python_packages()), "debian": list(debian_packages()), "system": system()}))
