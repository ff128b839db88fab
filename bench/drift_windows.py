"""The windows of rows that are looked at in a seed's folder (`bench/drift_worlds.py`); both environments read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl


def windows(folder: Path, request: dict[str, Any], number: int) -> Iterator[pl.DataFrame]:
    """Of a world, the rows of the last days up to each day: `event_time`, the features, `score`.

    The quiet world, the first one, is looked at from the first whole window after training on, a changed one from its
    first changed day on.
    """
    rows = pl.read_parquet(folder / f"{number}.parquet")
    for last in range(request["changed"] - (number == 0), request["end"]):
        yield rows.filter(pl.col("day").is_between(last - request["length"] + 1, last)).drop("day")
