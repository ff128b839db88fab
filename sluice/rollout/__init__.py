"""From the gate to all traffic, or back: canary steps with tests that may be looked at at any time."""

from sluice.rollout.controller import Controller, Outcome, Shown
from sluice.rollout.counts import DECILES, EDGES, Counts, Observer
from sluice.rollout.keeper import Keeper
from sluice.rollout.labels import Labelled, Losses
from sluice.rollout.traffic import Shadow, Traffic

__all__ = [
    "DECILES",
    "EDGES",
    "Controller",
    "Counts",
    "Keeper",
    "Labelled",
    "Losses",
    "Observer",
    "Outcome",
    "Shadow",
    "Shown",
    "Traffic",
]
