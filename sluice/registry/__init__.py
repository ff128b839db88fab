"""Versions, the decision log, runs: what is live, and why. Everything is content-addressed or append-only."""

from sluice.registry.decision import Decision
from sluice.registry.registry import Registry
from sluice.registry.state import State
from sluice.registry.version import Version

__all__ = ["Decision", "Registry", "State", "Version"]
