"""The error of the cluster's own code."""

from __future__ import annotations


class ClusterError(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n  → {hint}" if hint else message)
