"""The handbook's own table: which cards its test leaves out, and what its rule makes of a score."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sluice.evaluation.context import Context, known_positive
from sluice.evaluation.metrics import metric

TABLE = Path(__file__).parents[2].parent / "shared/data/handbook/transactions.parquet"
DAY = timedelta(days=1)
TRAIN, TEST = datetime(2018, 7, 25, tzinfo=UTC), datetime(2018, 8, 8, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason=f"the handbook's table is not at {TABLE}")


@pytest.fixture(scope="module")
def week() -> pl.DataFrame:
    """From the first training day to the last test day, with labels 7 days late."""
    columns = {"TX_DATETIME": "event_time", "CUSTOMER_ID": "card", "TX_FRAUD": "label", "TX_AMOUNT": "amount"}
    table = pl.scan_parquet(TABLE).select(*columns).rename(columns)
    table = table.with_columns(
        pl.col("event_time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        pl.col("card").cast(pl.String),
        pl.col("label").cast(pl.Float64),
    )
    inside = (pl.col("event_time") >= TRAIN) & (pl.col("event_time") < TEST + 7 * DAY)
    return table.filter(inside).with_columns(label_time=pl.col("event_time") + 7 * DAY).collect()


def test_the_hold_out_keeps_the_rows_that_the_handbook_keeps(week: pl.DataFrame) -> None:
    train = week.filter(pl.col("event_time") < TRAIN + 7 * DAY)
    test = week.filter(pl.col("event_time") >= TEST)
    kept = test.filter(~pl.Series(known_positive(test, week, "card")))
    assert (train.height, train.get_column("label").sum()) == (67_240, 598)
    assert (kept.height, kept.get_column("label").sum()) == (58_264, 385)


def test_a_rule_on_the_amount_reaches_what_the_handbook_code_reaches(week: pl.DataFrame) -> None:
    """Against the handbook's procedure retold with Polars: best row a card, top 100, found cards leave."""
    test = week.filter(pl.col("event_time") >= TEST)
    known = known_positive(test, week, "card")
    score = test.get_column("amount").to_numpy() + np.arange(test.height) * 1e-9
    day = test.get_column("event_time").dt.epoch("d").cast(pl.Int64).to_numpy()
    context = Context(day=day, entity=test.get_column("card").cast(pl.Int64).to_numpy(), known=known, k=100)
    found: list[str] = []
    daily = []
    table = test.with_columns(score=pl.Series(score), day=pl.Series(day)).filter(~pl.Series(known))
    for _, rows in table.group_by("day", maintain_order=True):
        cards = rows.filter(~pl.col("card").is_in(found)).group_by("card").agg(pl.col("score", "label").max())
        top = cards.sort("score", descending=True).head(100).filter(pl.col("label") == 1)
        found += top.get_column("card").to_list()
        daily.append(top.height / 100)
    label = test.get_column("label").to_numpy()
    assert metric("card_precision", "binary", label, score, context=context) == pytest.approx(np.mean(daily))
