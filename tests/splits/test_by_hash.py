"""Splits without time: a row never changes side, classes are cut alike, a group stays together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import DataError
from sluice.settings.split import RandomSplit
from sluice.splits import row_hashes, split_rows
from sluice.splits.by_hash import sides
from sluice.splits.hashes import hashes_in_order
from splits.cases import label_stream, use_case, world

RANDOM = {"by": "random", "validation": 0.2, "test": 0.2}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), unique=True, max_size=50), st.lists(st.text(), unique=True, max_size=50), st.text())
def test_a_row_never_changes_side_when_rows_are_added(ids: list[str], more: list[str], salt: str) -> None:
    rule = RandomSplit(by="random", salt=salt)
    before = dict(zip(ids, sides(ids, rule), strict=True))
    after = dict(zip(ids + more, sides(ids + more, rule), strict=True))
    assert all(after[row] == side for row, side in before.items())


def test_every_class_is_cut_alike() -> None:
    """Each class keeps the settings' shares within four standard deviations of an independent draw."""
    side = sides([f"row-{i}" for i in range(60_000)], RandomSplit(by="random"))
    rare = np.arange(60_000) % 50 == 0
    for members in (rare, ~rare):
        n = members.sum()
        for part, share in ((0, 0.6), (1, 0.2), (2, 0.2)):
            assert abs((side[members] == part).mean() - share) < 4 * np.sqrt(share * (1 - share) / n)


def test_another_salt_cuts_independently() -> None:
    ids = [str(i) for i in range(20_000)]
    one, other = (sides(ids, RandomSplit(by="random", salt=salt)) for salt in "ab")
    assert abs(((one == 2) & (other == 2)).mean() - 0.04) < 0.01


def test_a_group_stays_together() -> None:
    rows, labels = world(days=500)
    rows = rows.with_columns(pl.Series("card", [f"c{i // 3}" for i in range(rows.height)]))
    split = split_rows(use_case({"by": "group", "entity": "card"}), rows, labels)
    sets = [set(part.get_column("card")) for part in (split.train, split.validation, split.test)]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert sum(part.height for part in (split.train, split.validation, split.test)) == rows.height


def test_rows_without_label_are_left_out_and_counted() -> None:
    rows, labels = world(days=100)
    split = split_rows(use_case(RANDOM), rows, labels.head(labels.height - 10))
    assert split.left_out == {"no label": 10}


def test_a_class_that_a_part_misses_is_refused() -> None:
    rows, labels = world(days=30)
    labels = labels.with_columns(
        (pl.col("event_id") == labels.get_column("event_id")[0]).cast(pl.Float64).alias("label")
    )
    with pytest.raises(DataError, match="holds no positive label"):
        split_rows(use_case(RANDOM), rows, labels)


def test_validation_and_test_must_leave_rows_to_train_on() -> None:
    with pytest.raises(DataError, match="leave no rows to train on"):
        sides(["a"], RandomSplit(by="random", validation=0.5, test=0.5))


def test_a_class_missing_in_training_is_named() -> None:
    rows, labels = world(days=30)
    data = use_case(RANDOM).data.model_dump(mode="json") | {"labels": {"delay": "0s", "classes": ["x", "y", "z"]}}
    changes = {"task": "multiclass", "gate": {"metric": "accuracy"}, "data": data}
    changes["training"] = {"metric": "accuracy", "candidates": [{"id": "constant", "kind": "constant"}]}
    with pytest.raises(DataError, match="train holds no row of class z"):
        split_rows(use_case(RANDOM, **changes), rows, labels)


def test_row_hashes_are_sorted_and_stable() -> None:
    hashes = row_hashes(["b", "a", "c"])
    assert hashes.dtype == np.uint64 and (np.diff(hashes.astype(object)) > 0).all()
    assert hashes_in_order(["a"])[0] == 3405396810240292928  # stored seals and versions rest on this number
    assert len(row_hashes([])) == 0


def test_labels_of_a_table_without_time_are_the_last_ones() -> None:
    rows, labels = world(days=60)
    first = rows.row(0, named=True)
    late = label_stream([(first["event_id"], 1.0, first["event_time"], labels.get_column("label_time").max())])
    split = split_rows(use_case(RANDOM), rows, pl.concat([labels, late]).sort("label_time", "event_id"))
    everything = pl.concat([split.train, split.validation, split.test])
    assert everything.filter(pl.col("event_id") == first["event_id"]).get_column("label").to_list() == [1.0]
