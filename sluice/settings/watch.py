"""How a served model is watched."""

from __future__ import annotations

from pydantic import Field

from sluice.settings.base import Duration, Section


class Classifier(Section):
    """The detector over all features at once: boosted trees that try to tell the window from the reference."""

    rows: int = Field(2000, ge=100, description="Rows of each side that it learns from and is tested on, at most.")
    rounds: int = Field(20, ge=1, description="Trees.")
    leaves: int = Field(8, ge=2, description="Leaves of a tree.")
    draws: int = Field(60, ge=10, description="Windows of the reference that say what is usual; each is a training.")


class Fault(Section):
    """When a column is broken rather than changed: what alarms as a data fault and never trains anew."""

    missing: float = Field(0.2, gt=0, le=1, description="Missing values more than in the reference, as a share.")
    constant: float = Field(
        0.5, gt=0, le=1, description="One value more frequent than any in the reference, as a share."
    )
    outside: float = Field(0.2, gt=0, le=1, description="Values outside of the reference's range, as a share.")


class Watch(Section):
    """What is kept of training to compare with, and when a window alarms."""

    reference: Duration = Field(
        "42d",
        validate_default=True,
        description="The days before the test whose train and validation rows the reference is drawn from.",
    )
    reference_rows: int = Field(20_000, ge=500, description="Rows of the reference, at most.")
    alarm_rate: float = Field(0.05, gt=0, lt=0.5, description="Chance that a window of a quiet world alarms.")
    min_distance: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="A distance (0: alike, 1: nothing shared) below which nothing counts as moved, however sure it is.",
    )
    draws: int = Field(400, ge=50, description="Windows drawn from the reference by whole days: what is usual.")
    classifier: Classifier = Classifier()
    fault: Fault = Fault()
