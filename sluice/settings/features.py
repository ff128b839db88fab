"""Which feature service is used, the request features beside it, and the online store."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sluice.settings.base import Duration, Section, ZoneName


class ValueFeature(Section):
    """A value of the event as it is (categories as codes of the version's vocabulary)."""

    kind: Literal["value"] = Field("value", description="Chooses this form.")
    name: str = Field(description="Name of the feature.")
    column: str = Field(description="Name among data.columns.values.")


class WeekendFeature(Section):
    """1 on Saturday and Sunday in `time_zone`, else 0."""

    kind: Literal["weekend"] = Field(description="Chooses this form.")
    name: str = Field(description="Name of the feature.")
    time_zone: ZoneName = Field("UTC", description="Zone in which the day is read off.")


class HourRangeFeature(Section):
    """1 when the local hour lies in [from_hour, to_hour), else 0; the range may cross midnight."""

    kind: Literal["hours"] = Field(description="Chooses this form.")
    name: str = Field(description="Name of the feature.")
    from_hour: int = Field(ge=0, le=24, description="First hour, 0 to 24.")
    to_hour: int = Field(ge=0, le=24, description="Hour after the last one.")
    time_zone: ZoneName = Field("UTC", description="Zone in which the hour is read off.")


class RatioFeature(Section):
    """`numerator / denominator`, both names of features or values; `fill` where the denominator is 0 or missing."""

    kind: Literal["ratio"] = Field(description="Chooses this form.")
    name: str = Field(description="Name of the feature.")
    numerator: str = Field(description="Feature or value above the line.")
    denominator: str = Field(description="Feature or value below it.")
    fill: float = Field(1.0, description="Value where the denominator is 0 or missing.")


RequestFeature = Annotated[ValueFeature | WeekendFeature | HourRangeFeature | RatioFeature, Field(discriminator="kind")]


class Online(Section):
    """Where tile state lives for serving."""

    store: Literal["sqlite", "redis"] = Field("sqlite", description="SQLite in a folder, or a Redis.")
    address: str | None = Field(None, description="host:port of Redis; SQLite lies in the run's folder.")
    horizon: Duration = Field(
        "2d", validate_default=True, description="An event id is recognised as a repeat for this long."
    )


class Features(Section):
    """Features equal in training and serving: one service of windows, one list of request features."""

    repo: str | None = Field(None, description="The Feast repository; None: request features only.")
    service: str | None = Field(None, description="Feature service that a version pins.")
    request: list[RequestFeature] = Field(
        default_factory=list, description="Features of the event itself, in their order after the windows."
    )
    fills: dict[str, float] = Field(
        default_factory=dict,
        description="Value of a missing feature (the mean of an empty window); else NaN.",
    )
    online: Online = Online()
