"""Card precision and the handbook's rule of known cards, against a plain retelling of both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.evaluation.context import Context, known_positive
from sluice.evaluation.metrics import metric

START = datetime(2018, 8, 8, tzinfo=UTC)


def plain_card_precision(rows: list[tuple[int, int, float, float, bool]], k: int) -> float:
    found: set[int] = set()
    daily = []
    for today in sorted({row[0] for row in rows}):
        cards: dict[int, tuple[float, float]] = {}
        for d, c, y, s, out in rows:
            if d == today and c not in found and not out:
                best, hit = cards.get(c, (-1.0, 0.0))
                cards[c] = (max(best, s), max(hit, y))
        top = sorted(cards, key=lambda c: -cards[c][0])[:k]
        hits = [c for c in top if cards[c][1]]
        found.update(hits)
        daily.append(len(hits) / k)
    return sum(daily) / len(daily)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 200), st.integers(1, 8))
def test_card_precision_is_the_handbooks(seed: int, n: int, k: int) -> None:
    random = np.random.default_rng(seed)
    day, card = random.integers(0, 5, n), random.integers(0, 12, n)
    label, score = (random.uniform(size=n) < 0.2).astype(float), random.permutation(n) / n
    known = random.uniform(size=n) < 0.1
    context = Context(day=day, entity=card, known=known, k=k)
    expected = plain_card_precision(list(zip(day, card, label, score, known, strict=True)), k)
    assert metric("card_precision", "binary", label, score, context=context) == pytest.approx(expected)


def test_a_card_is_out_from_the_day_after_its_label_arrived() -> None:
    fraud = START - timedelta(days=8, hours=-3)  # its label arrives 7 days later, on the day before START
    labels = pl.DataFrame(
        {"card": ["a", "b"], "label": [1.0, 0.0], "label_time": [fraud + timedelta(days=7)] * 2},
        schema_overrides={"label_time": pl.Datetime("us", "UTC")},
    )
    times = [START - timedelta(hours=1), START, START + timedelta(days=3), START]
    rows = pl.DataFrame(
        {"card": ["a", "a", "a", "b"], "event_time": times},
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )
    assert known_positive(rows, labels, "card").tolist() == [False, True, True, False]
