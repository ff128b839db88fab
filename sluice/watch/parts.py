"""What a drift document (`sluice.watch.drift.Drift.document`) compares; for both environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOGETHER = "all features together"
"""Stands for a feature where the classifier's distance is told."""


def parts_of(document: Mapping[str, Any], together: str = TOGETHER) -> list[dict[str, Any]]:
    """Each feature's figures, the score's, and the classifier's, which goes by the name `together`."""
    return [*document["features"], document["score"], document["classifier"] | {"feature": together}]
