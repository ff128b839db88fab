"""What the files hold, and how tables of several files become one.

A response has a row a prediction; its features are one struct column, named as the version names them, float32, null
where one was missing. An answer that did not hold its features has a null there. Of a request there is its time, how
many rows it asked about and their event times: what else a caller sent may be personal, and is not kept.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

from sluice.errors import IntegrityError

INSTANT = pl.Datetime("us", "UTC")
FEATURES = "features"
_EVENT: dict[str, pl.DataType | type[pl.DataType]] = {
    "source": pl.String,
    "id": pl.String,
    "time": INSTANT,
    "service": pl.String,
    "endpoint": pl.String,
    "caller": pl.String,
}
REQUESTS = pl.Schema({**_EVENT, "rows": pl.Int32, "event_times": pl.List(INSTANT)})
"""`rows` is null where the body could not be read: such a request is refused, and never answered."""
RESPONSES = pl.Schema(
    {
        **_EVENT,
        "row": pl.Int32,
        "event_id": pl.String,
        "score": pl.Float32,
        "scores": pl.List(pl.Float32),
        "class": pl.String,
        "version": pl.String,
        "server_time": INSTANT,
        "unknown": pl.Boolean,
        "unknown_entities": pl.List(pl.String),
        "stale": pl.Boolean,
        "stale_streams": pl.List(pl.String),
        "ahead": pl.Boolean,
        "repeated": pl.Boolean,
    }
)
"""Beside `features`. `score` is the positive or top class's probability, or the value; `scores` all classes'. Names of
entities and streams are null where the answer was V2, which marks rows alone."""
EVENT_KEY = ("source", "service", "id")
"""What names an event. A copy of a request that goes to a second InferenceService keeps its caller's id, and KServe's
loggers all name the same source: the service tells the two apart."""
ROW_KEY = (*EVENT_KEY, "row")
_PREFIX = "features\0"


def encode(table: pl.DataFrame) -> bytes:
    """A table as the bytes of a Parquet file."""
    out = io.BytesIO()
    table.write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def decode(data: bytes, where: str) -> pl.DataFrame:
    """The table in the bytes of a Parquet file; `where` names it in errors.

    Raises:
        IntegrityError: it is none.
    """
    try:
        return pl.read_parquet(io.BytesIO(data), use_statistics=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise IntegrityError(
            f"{where} is no Parquet file: {str(error).splitlines()[0][:200]}", "restore it from a backup, or remove it"
        ) from None


def together(tables: Sequence[pl.DataFrame], schema: pl.Schema) -> pl.DataFrame:
    """All rows of some tables of one kind; the features of all, null where a table does not know one."""
    wide = [_flat(table) for table in tables]
    joined = pl.concat([schema.to_frame(), *wide], how="diagonal")
    names = [name for name in joined.columns if name.startswith(_PREFIX)]
    if not names:
        return joined.select(schema.names())
    # A struct of nulls is not a null: an answer without its features has none at all.
    whole = pl.struct([pl.col(name).alias(name.removeprefix(_PREFIX)) for name in names])
    held = pl.col(_HELD).fill_null(False)
    return joined.select(*schema.names(), pl.when(held).then(whole).alias(FEATURES))


def once(table: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Each event once, in the order of time; copies are equal, so it does not matter which one stays."""
    key = [name for name in ROW_KEY if name in schema]
    return table.sort("time", *key).unique(key, keep="first", maintain_order=True)


_HELD = "\0held"


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    if FEATURES not in table.columns:
        return table
    fields = [pl.col(FEATURES).struct.field(field.name).alias(_PREFIX + field.name) for field in _fields(table)]
    return table.select(pl.exclude(FEATURES), pl.col(FEATURES).is_not_null().alias(_HELD), *fields)


def _fields(table: pl.DataFrame) -> list[pl.Field]:
    kind = table.schema[FEATURES]
    return list(kind.fields) if isinstance(kind, pl.Struct) else []
