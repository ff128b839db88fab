"""Where the events are, what their columns mean, and what counts as a bad row."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import Duration, Instant, Section, ZoneName


class ValueColumn(Section):
    """A value that an event carries."""

    column: str | None = Field(None, description="Column in the source; default: the value's own name.")
    type: Literal["number", "category", "boolean"] = Field("number", description="What the column holds.")
    unit: float | None = Field(
        None,
        gt=0,
        description="Resolution of a number, 0.01 for cents: it is stored and summed as whole units.",
    )
    min: float | None = Field(None, description="Smaller numbers are quarantined.")
    max: float | None = Field(None, description="Larger numbers are quarantined.")
    missing: Literal["quarantine", "keep"] = Field("quarantine", description="What becomes of a row without it.")
    min_count: int = Field(20, ge=1, description="A category seen less often in training is 'rare'.")


class Columns(Section):
    """The roles of the source's columns."""

    event_id: str | None = Field(None, description="Default: a hash of the whole row.")
    event_time: str | None = Field(None, description="None only for tables split without time.")
    arrival: str | None = Field(None, description="When the event became known; default: its own time.")
    entities: dict[str, str] = Field(
        default_factory=dict, description="Entity name to source column; `=id` is one entity that all events share."
    )
    values: dict[str, ValueColumn] = Field(default_factory=dict)
    label: str | None = Field(None, description="The label's column; else labels.source.")
    label_time: str | None = Field(None, description="When the label became known; else labels.delay.")
    personal: dict[str, Literal["drop", "hash"]] = Field(
        default_factory=dict, description="Source columns with personal data and what becomes of them."
    )


class Labels(Section):
    """How labels reach us."""

    source: str | None = Field(None, description="A table of its own (event_id, label, label_time).")
    delay: Duration | None = Field(None, description="A label arrives this long after its event.")
    negative_after: Duration | None = Field(
        None, description="Sources that send positives only: no label after this long is a negative one."
    )
    classes: list[str] = Field(
        default_factory=list, description="Names of the classes, in the order of the scores (multiclass)."
    )


class Quality(Section):
    """What is too bad to go on with."""

    max_quarantined: float = Field(0.01, ge=0, le=1, description="Above this share of bad rows the run stops.")
    future_tolerance: Duration = Field("0s", validate_default=True, description="Clock skew allowed to event times.")


class Data(Section):
    """The source of events."""

    source: str = Field(description="A CSV or Parquet file, a folder or s3:// prefix of them.")
    time_zone: ZoneName = Field("UTC", description="Zone of times that name none.")
    ambiguous_time: Literal["earliest", "latest", "quarantine"] = Field(
        "earliest", description="The hour that comes twice when daylight saving ends."
    )
    start: Instant | None = Field(None, description="Events before this instant are left out.")
    end: Instant | None = Field(None, description="Events from this instant on are left out.")
    pseudonym_key: str | None = Field(
        None, description="File with the secret of hashed columns; default: the model's name, which is no secret."
    )
    columns: Columns
    labels: Labels = Labels()
    quality: Quality = Quality()
