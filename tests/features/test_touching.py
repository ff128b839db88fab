"""What questions depend on: rows of their entities, up to the last question about each."""

from __future__ import annotations

import polars as pl

from sluice.features.touching import blanked, last_asked, touching

ASKED = pl.DataFrame({"card": ["a", "a", "b"], "terminal": ["x", None, "y"], "time": [3, 5, 4]})
ROWS = pl.DataFrame(
    {"card": ["a", "a", "b", "c", None], "terminal": ["z", "x", "y", "x", "x"], "time": [5, 6, 4, 3, 4]}
)


def test_a_key_stays_up_to_the_last_question_about_it() -> None:
    last = last_asked(ASKED, ["card", "terminal"], "time")
    assert touching(ROWS, last, "time").rows() == [("a", None, 5), ("b", "y", 4), (None, "x", 3)]


def test_strictly_before_it_where_that_is_asked() -> None:
    last = last_asked(ASKED, ["card", "terminal"], "time")
    assert blanked(ROWS, last, "time", pl.Expr.lt).rows() == [
        (None, None, 5),
        (None, None, 6),
        (None, None, 4),
        (None, None, 3),
        (None, None, 4),
    ]


def test_rows_without_entities_touch_nothing() -> None:
    last = last_asked(ASKED, ["card"], "time")
    assert touching(ROWS.select("time"), last, "time").is_empty()
