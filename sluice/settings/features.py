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


class Updates(Section):
    """The streams that the updater keeps state fresh from (docs/updater.md)."""

    stream: str | None = Field(None, description="Streams begin so: `STREAM:ENTITY:PARTITION`; default: `sluice:NAME`.")
    address: str | None = Field(None, description="host:port of the Redis with the streams; default: the state's.")
    partitions: int = Field(
        1, ge=1, le=1024, description="Streams an entity. One updater at a time writes the keys of each."
    )
    hold: int | None = Field(None, ge=1, description="Partitions that one updater holds at most; null: all it gets.")
    batch: int = Field(500, ge=1, le=10_000, description="Records that are applied together at most.")
    capacity: int = Field(
        100_000, ge=1, description="A stream that holds so many records is full: producers are told to wait."
    )
    keep: Duration = Field(
        "10m", validate_default=True, description="Records stay for this long after all who follow have applied them."
    )
    lease: Duration = Field(
        "10s", validate_default=True, description="Partitions of an updater that is gone are free after this long."
    )


class Online(Section):
    """Where tile state lives for serving."""

    store: Literal["sqlite", "redis"] = Field("sqlite", description="SQLite in a folder, or a Redis.")
    address: str | None = Field(
        None,
        description="host:port of Redis (SLUICE_REDIS_USER and SLUICE_REDIS_PASSWORD: who asks); SQLite is a file.",
    )
    tls: bool = Field(False, description="Talk to Redis over TLS, and check its certificate and name.")
    ca: str | None = Field(None, description="File with the authority of that certificate; null: the system's.")
    horizon: Duration = Field(
        "2d", validate_default=True, description="An event id is recognised as a repeat for this long."
    )
    updates: Updates = Updates()


class Spark(Section):
    """Where the windows are computed when `engine` is spark."""

    master: str = Field(
        "local[*]", description="Spark's master: local[*], spark://host:7077, k8s://…; under spark-submit its own wins."
    )
    rows_per_cell: int = Field(
        1_000_000, ge=1, description="Rows that one task has in memory at a time; a key with more is cut by time."
    )
    staging: str | None = Field(
        None,
        description="Folder that driver and executors share, for the tables; null: a temporary one of this machine.",
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="Spark's own settings by name, such as spark.driver.memory."
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
    engine: Literal["local", "spark"] = Field(
        "local", description="What computes the windows of history: this machine's cores, or Spark; the rows are equal."
    )
    spark: Spark = Spark()
