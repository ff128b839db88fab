"""The seal names the test's rows and nothing else by its digest."""

from __future__ import annotations

import polars as pl

from sluice.splits import row_hashes, seal, split_rows
from sluice.splits.seal import digest_of
from splits.cases import TIME, use_case, world


def test_the_manifest_lists_what_was_sealed() -> None:
    rows, labels = world(days=18)
    case = use_case(TIME)
    split = split_rows(case, rows, labels)
    manifest = seal(split, case)
    assert manifest["count"] == split.test.height == 12
    assert manifest["digest"] == digest_of(row_hashes(split.test.get_column("event_id").to_list()))
    assert (manifest["start"], manifest["end"]) == ("2018-04-16T00:00:00+00:00", "2018-04-19T00:00:00+00:00")
    assert manifest["format"] == 1


def test_the_same_rows_are_the_same_seal_whatever_their_order_and_labels() -> None:
    rows, labels = world(days=18)
    case = use_case(TIME)
    one = seal(split_rows(case, rows, labels), case)
    flipped = labels.with_columns((1 - pl.col("label")).alias("label"))
    other = seal(split_rows(case, rows, flipped), case)
    assert one["digest"] == other["digest"] and one["labels"] != other["labels"]
    assert one["settings"] == other["settings"]


def test_another_split_is_another_seal() -> None:
    rows, labels = world(days=19)
    one, other = (seal(split_rows(c, rows, labels), c) for c in (use_case(TIME), use_case(TIME | {"test": "4d"})))
    assert one["digest"] != other["digest"] and one["settings"] != other["settings"]
