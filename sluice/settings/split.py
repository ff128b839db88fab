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

    by: Literal["time"] = Field("time", description="Chooses this form.")
    train: Duration = Field(description="Length of the training part.")
    validation: Duration = Field(description="Length of the part that candidates are chosen on.")
    gap: Duration = Field(
        "0s", validate_default=True, description="Between validation and test, at least the labels' delay."
    )
    test: Duration = Field(description="Length of the sealed test.")
    test_end: Instant | None = Field(None, description="Default: the last event whose label has arrived.")


class RandomSplit(Section):
    """Tables without time: a hash of the row id decides, stratified by class, so a row never changes side."""

    by: Literal["random"] = Field(description="Chooses this form.")
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the rows.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the rows.")
    salt: str = Field("sluice", description="Another salt gives another split.")


class GroupSplit(Section):
    """Like random, but all rows of one entity lie on one side."""

    by: Literal["group"] = Field(description="Chooses this form.")
    entity: str = Field(description="Whose rows stay together.")
    validation: float = Field(0.2, gt=0, lt=1, description="Share of the entities.")
    test: float = Field(0.2, gt=0, lt=1, description="Share of the entities.")
    salt: str = Field("sluice", description="Another salt gives another split.")


Split = Annotated[TimeSplit | RandomSplit | GroupSplit, Field(discriminator="by")]
