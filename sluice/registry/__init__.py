"""Versions, the decision log, runs: what is live, and why. Everything is content-addressed or append-only."""

from sluice.registry.decision import Decision
from sluice.registry.keys import Keys
from sluice.registry.opening import open_registry
from sluice.registry.registry import Registry
from sluice.registry.signing import verify_folder
from sluice.registry.state import State
from sluice.registry.version import Version

__all__ = ["Decision", "Keys", "Registry", "State", "Version", "open_registry", "verify_folder"]
