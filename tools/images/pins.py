"""Images by digest in the files that name them: kustomizations, and settings laid over a use case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.images.errors import ImageError
from tools.images.places import NAMES

_SETTING = {"pipeline": "image", "serving": "serving_image", "alibi": "alibi_image"}


@dataclass(frozen=True)
class Pin:
    """An image in a registry, as it was pushed."""

    name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def pin_all(manifests: Path, pins: Mapping[str, Pin]) -> list[Path]:
    """Write `pins` (by target) into every kustomization and settings file below `manifests`; the files changed.

    Raises:
        ImageError: no file names one of the images.
    """
    changed: list[Path] = []
    for target, pin in pins.items():
        named = 0
        for path in sorted(manifests.rglob("*.yaml")):
            before = path.read_text()
            kustomization = path.name == "kustomization.yaml"
            after, count = in_kustomization(before, target, pin) if kustomization else in_settings(before, target, pin)
            named += count
            if after != before:
                path.write_text(after)
                changed.append(path)
        if named == 0:
            raise ImageError(f"{manifests}: no file names {NAMES[target]}")
    return sorted(set(changed))


def in_kustomization(text: str, target: str, pin: Pin) -> tuple[str, int]:
    """The text with the image's entry under `images:` replaced, everything else as it was; how many there were."""
    entry = re.compile(rf"^(?P<at> *)- name: {re.escape(NAMES[target])}\n(?:(?P=at)  \S.*\n)*", re.MULTILINE)
    written = rf"\g<at>- name: {NAMES[target]}\n\g<at>  newName: {pin.name}\n\g<at>  digest: {pin.digest}\n"
    return entry.subn(written, text)


def in_settings(text: str, target: str, pin: Pin) -> tuple[str, int]:
    """The text with the image in its section `pipeline` replaced; how many there were."""
    section = re.compile(r"^pipeline:\n(?:(?:  .*)?\n)*", re.MULTILINE)
    line = re.compile(rf"^  {_SETTING[target]}: .*$", re.MULTILINE)
    found = section.search(text)
    if found is None:
        return text, 0
    after, count = line.subn(f"  {_SETTING[target]}: {pin}", found[0])
    return text[: found.start()] + after + text[found.end() :], count
