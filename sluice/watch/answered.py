"""What a version answered, one row an event, in the time of the events: from the payload ledger."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from sluice.features.decoding import decoded
from sluice.features.schema import FeatureSchema
from sluice.ledger import answers
from sluice.ledger.tables import FEATURES
from sluice.settings import UseCase
from sluice.storage import Store


def answered(
    store: Store,
    use_case: UseCase,
    version: str,
    start: datetime,
    end: datetime,
    *,
    events: pl.DataFrame,
    now: datetime,
) -> pl.DataFrame:
    """The first answer of a version to each event of a stretch of time.

    An event is scored once and again where its sender repeats it; the first answer is what was acted upon. Its time is
    the request's, else that of the event as ingest knows it, else the answer's.

    Args:
        start, end: of the events, the end not included.
        events: `event_id` and `event_time`, for answers whose request the ledger does not hold.
        now: the wall clock: answers are looked for from `start` up to here.

    Returns:
        The ledger's columns, `event_time` (UTC) in the order of (event_time, event_id). Answers without an event's id
        are kept, all of them.

    Raises:
        StoreError, IntegrityError: as `sluice.ledger.answers`.
    """
    payloads = use_case.payloads
    since = start - payloads.clock_skew
    found = answers(
        store, use_case.name, since, max(now, end), answer_within=payloads.answer_within, versions=[version]
    ).frame
    known = events.select("event_id", pl.col("event_time").alias("_known")).unique("event_id")
    found = found.join(known, on="event_id", how="left", maintain_order="left")
    found = found.with_columns(event_time=pl.coalesce("event_time", "_known", "time")).drop("_known")
    found = found.filter((pl.col("event_time") >= start) & (pl.col("event_time") < end))
    first = pl.col("event_id").is_null() | pl.col("event_id").is_first_distinct()
    return found.sort("time", "source", "id", "row").filter(first).sort("event_time", "event_id", maintain_order=True)


def feature_table(found: pl.DataFrame, schema: FeatureSchema) -> pl.DataFrame:
    """`event_time`, the schema's features (Float32; String for a category) and `score` of those answers that hold them.

    The ledger holds what the graph was given: a category's code becomes the value again, one that the vocabulary does
    not have becomes `sluice.features.decoding.UNSEEN`.
    """
    types: dict[str, pl.DataType | type[pl.DataType]] = {"event_time": pl.Datetime("us", "UTC")}
    types |= {c.name: pl.String if c.kind == "category" else pl.Float32 for c in schema.columns}
    if FEATURES not in found.columns:
        return pl.DataFrame(schema={**types, "score": pl.Float32})
    held = found.filter(pl.col(FEATURES).is_not_null())
    names = {field.name for field in held.schema[FEATURES].fields}  # type: ignore[attr-defined]
    value = pl.col(FEATURES).struct
    features = [decoded(column, value.field(column.name)) for column in schema.columns if column.name in names]
    absent = [pl.lit(None, types[name]).alias(name) for name in schema.names if name not in names]
    table = held.select("event_time", *features, *absent, pl.col("score").cast(pl.Float32))
    return table.select("event_time", *schema.names, "score").filter(pl.col("score").is_not_null())
