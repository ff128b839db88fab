"""Which feature service is used, the request features beside it, and the online store."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sluice.settings.base import Duration, Section, ZoneName


class ValueFeature(Section):
    """A value of the event as it is (categories as codes of the version's vocabulary)."""

    kind: Literal["value"] = "value"
    name: str
    column: str


class WeekendFeature(Section):
    """1 on Saturday and Sunday in `time_zone`, else 0."""

    kind: Literal["weekend"]
    name: str
    time_zone: ZoneName = "UTC"


class HourRangeFeature(Section):
    """1 when the local hour lies in [from_hour, to_hour), else 0; the range may cross midnight."""

    kind: Literal["hours"]
    name: str
    from_hour: int = Field(ge=0, le=24)
    to_hour: int = Field(ge=0, le=24)
    time_zone: ZoneName = "UTC"


class RatioFeature(Section):
    """`numerator / denominator`, both names of features or values; `fill` where the denominator is 0 or missing."""

    kind: Literal["ratio"]
    name: str
    numerator: str
    denominator: str
    fill: float = 1.0


RequestFeature = Annotated[ValueFeature | WeekendFeature | HourRangeFeature | RatioFeature, Field(discriminator="kind")]


class Online(Section):
    """Where tile state lives for serving."""

    store: Literal["sqlite", "redis"] = "sqlite"
    address: str | None = Field(None, description="host:port of Redis; SQLite lies in the run's folder.")
    horizon: Duration = Field(
        "2d", validate_default=True, description="An event id is recognised as a repeat for this long."
    )


class Features(Section):
    """Features equal in training and serving: one service of windows, one list of request features."""

    repo: str | None = Field(None, description="The Feast repository; None: request features only.")
    service: str | None = Field(None, description="Feature service that a version pins.")
    request: list[RequestFeature] = Field(default_factory=list)
    fills: dict[str, float] = Field(
        default_factory=dict,
        description="Value of a missing feature (the mean of an empty window); else NaN.",
    )
    online: Online = Online()
