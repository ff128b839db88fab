"""Files laid over a use case file: one for the cluster, say, that names its store, online store and images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Layer = tuple[Path, dict[str, Any]]
"""A file and what it holds."""


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` over `below`: mappings are joined key by key, everything else (lists too) is replaced as a whole."""
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        joined[key] = laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return joined


def located(problem: str, layers: Sequence[Layer]) -> str:
    """A mistake (`path: what is wrong`) with the file that has to be corrected.

    That is the last one that says anything at the path; where none does, the last of those that come nearest to it.
    """
    path, found, rest = problem.partition(":")
    parts = path.split(".")
    file, _ = max(reversed(layers), key=lambda layer: _depth(layer[1], parts))
    return f"{path} (in {file}){found}{rest}"


def _depth(document: Any, parts: list[str]) -> int:
    """How many parts of a path a document holds."""
    for depth, part in enumerate(parts):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return depth
    return len(parts)
