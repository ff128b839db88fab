"""Versions, the decision log, runs: what is live, and why. Everything is content-addressed or append-only."""

from sluice.registry.decision import Decision
from sluice.registry.forgetting import Forgotten, forget
from sluice.registry.garbage import Collected, collect_garbage
from sluice.registry.keys import Keys
from sluice.registry.opening import open_registry
from sluice.registry.registry import Registry
from sluice.registry.rows import store_rows
from sluice.registry.runs import Run, RunLog
from sluice.registry.signing import verify_folder
from sluice.registry.state import State
from sluice.registry.story import why
from sluice.registry.verification import Problem, Verification, verify
from sluice.registry.version import Version

__all__ = [
    "Collected",
    "Decision",
    "Forgotten",
    "Keys",
    "Problem",
    "Registry",
    "Run",
    "RunLog",
    "State",
    "Verification",
    "Version",
    "collect_garbage",
    "forget",
    "open_registry",
    "store_rows",
    "verify",
    "verify_folder",
    "why",
]
