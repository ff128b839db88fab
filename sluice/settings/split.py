"""How rows become train, validation and sealed test."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sluice.settings.base import Duration, Instant, Section


class TimeSplit(Section):
    """Laid back to back from the end: train, validation, gap, test.

    A train row's label had arrived when validation starts; rows whose label had not are left out.
    `gap` keeps the test from starting before the validation labels could have been known.
    """

    by: Literal["time"] = "time"
    train: Duration
    validation: Duration
    gap: Duration = Field("0s", validate_default=True)
    test: Duration
    test_end: Instant | None = Field(None, description="Default: the last event whose label has arrived.")


class RandomSplit(Section):
    """Tables without time: a hash of the row id decides, stratified by class, so a row never changes side."""

    by: Literal["random"]
    validation: float = Field(0.2, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    salt: str = "sluice"


class GroupSplit(Section):
    """Like random, but all rows of one entity lie on one side."""

    by: Literal["group"]
    entity: str
    validation: float = Field(0.2, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    salt: str = "sluice"


Split = Annotated[TimeSplit | RandomSplit | GroupSplit, Field(discriminator="by")]
