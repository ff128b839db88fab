"""How a served model is watched."""

from __future__ import annotations

from typing import Literal

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


class Performance(Section):
    """What a served version is worth, day by day, as labels arrive."""

    days: int = Field(28, ge=1, description="Event days that are looked at, the last ones.")
    mature_share: float = Field(
        0.95, gt=0, le=1, description="A day is mature when this share of its answered events has a label."
    )
    mature_after: Duration = Field(
        "0s",
        validate_default=True,
        description="And not before this long after its end: where labels are corrected, or negatives late.",
    )
    min_rows: int = Field(100, ge=1, description="A day with fewer labelled answers counts for nothing.")
    max_drop: float = Field(
        0.05,
        ge=0,
        description="Loss against what the gate promised, in units of its metric, that may not be passed for sure.",
    )


class Rules(Section):
    """When a person is told, and when the training pipeline runs by itself."""

    violated: int = Field(2, ge=1, description="So many of the last `of` windows, the latest among them, are violated.")
    of: int = Field(3, ge=1, description="Windows that are looked at.")
    on: list[Literal["drift", "performance"]] = Field(["drift", "performance"], description="What violates a window.")
    cool_down: Duration = Field(
        "7d", validate_default=True, description="After an alert of a kind, or a run, so long no second one."
    )
    runs_a_week: int = Field(1, ge=0, description="Automatic training runs in any seven days; 0: none, only alerts.")


class Outliers(Section):
    """The outlier score of each answer: an isolation forest over the reference's rows."""

    rate: float = Field(
        0.01, gt=0, lt=0.5, description="Share of rows like the reference's that are called outliers: the threshold."
    )
    trees: int = Field(100, ge=1, description="Trees.")
    sample: int = Field(256, ge=2, description="Rows that each tree is made from, at most.")
    keep: int = Field(100, ge=1, description="Latest outliers that are shown.")


class Online(Section):
    """The drift server: the same detectors over a window that slides with the events."""

    window: Duration = Field(
        "1d",
        validate_default=True,
        description="Whole days up to the latest event that are judged together; until they are full nothing is.",
    )
    rows: int = Field(
        20_000, ge=500, description="Rows of the window kept, at most; of more a uniform sample, the rest is counted."
    )
    every: int = Field(500, ge=1, description="New rows after which the window is judged again.")
    pause: Duration = Field(
        "1m", validate_default=True, description="And not sooner than this after the last judgement began."
    )
    queue: int = Field(10_000, ge=1, description="Events that wait to be looked at; when it is full the oldest go.")
    follow: Duration = Field(
        "1m",
        validate_default=True,
        description="How often is asked whether another version is live, which is then watched instead.",
    )
    outliers: Outliers = Outliers()


class Watch(Section):
    """What is kept of training to compare with, when a window alarms, and what follows."""

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
    window: Duration = Field(
        "7d",
        validate_default=True,
        description="Whole days that are looked at together; windows lie back to back from 1970-01-01 on.",
    )
    settle: Duration = Field(
        "1h",
        validate_default=True,
        description="A window is looked at so long after its end: the ledger holds it then.",
    )
    min_rows: int = Field(200, ge=1, description="Fewer answers in a window are not tested for drift.")
    online: Online = Online()
    performance: Performance = Performance()
    rules: Rules = Rules()
