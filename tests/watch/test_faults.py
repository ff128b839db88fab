"""A broken column is told from a changed world."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sluice.settings.watch import Watch
from sluice.watch.alibi.faults import fault_of

LIMITS = Watch().fault.model_dump()
AMOUNT = np.random.default_rng(0).gamma(2, 20, 1000)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (AMOUNT * 100, "lie outside of"),
        (np.where(AMOUNT > 40, np.nan, AMOUNT), "are missing, 0% were"),
        (np.full(1000, np.nan), "100% are missing"),
        (np.full(1000, 42.0), "100% are 42.0; no value had more than 0%"),
        (AMOUNT * 1.4, None),
        (AMOUNT[:500], None),
    ],
)
def test_numbers(now: np.ndarray, words: str | None) -> None:
    found = fault_of(pl.Series(AMOUNT), pl.Series(now), LIMITS)
    assert found is None if words is None else words in str(found)


@pytest.mark.parametrize(
    ("now", "words"), [(["x"] * 10, "100% are x"), (["a", "b"] * 5, None), ([None] * 10, "missing")]
)
def test_categories(now: list[str | None], words: str | None) -> None:
    found = fault_of(pl.Series(["a", "b", "c"] * 20), pl.Series(now, dtype=pl.String), LIMITS)
    assert found is None if words is None else words in str(found)
