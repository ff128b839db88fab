"""The three parts of the labelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from sluice.errors import DataError
from sluice.settings import UseCase
from sluice.settings.split import GroupSplit, TimeSplit
from sluice.splits.by_hash import sides
from sluice.splits.by_time import Plan, plan_of

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Labelled rows (rows + `label` Float64 + `label_time`) of each part, in event order.

    `left_out` counts the rows that are in no part, by reason. `spans` are the parts' [start, end) instants.
    """

    train: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame
    left_out: dict[str, int]
    spans: dict[str, tuple[datetime, datetime]]

    def summary(self) -> dict[str, Any]:
        """A JSON document: rows, mean label and span of each part, and what was left out."""
        parts = {}
        for name in PARTS:
            part: pl.DataFrame = getattr(self, name)
            start, end = self.spans[name]
            parts[name] = {
                "rows": part.height,
                "mean_label": part.get_column("label").mean(),
                "start": start.isoformat(),
                "end": end.isoformat(),
            }
        return {"format": 1, "parts": parts, "left_out": self.left_out}


def split_rows(use_case: UseCase, rows: pl.DataFrame, labels: pl.DataFrame) -> Split:
    """Split feature rows as the settings say.

    By time, training sees the labels as they were known when validation starts, validation those known when the
    test starts, the test all. By hash, every part has the labels as they are now. Rows without label are left out.

    Args:
        rows: `event_id`, `event_time` and whatever else, one row an event.
        labels: the label stream, sorted by (label_time, event_id); a later row for an event_id corrects the earlier.

    Raises:
        DataError: too few days, an empty part, a part without one of the classes.
    """
    if isinstance(use_case.split, TimeSplit):
        split = _split_by_time(plan_of(use_case, rows, labels), rows, labels)
    else:
        split = _split_by_hash(use_case, rows, labels)
    _refuse_unusable(use_case, split)
    return split


def labels_known_at(labels: pl.DataFrame, instant: datetime | None) -> pl.DataFrame:
    """One row an event_id with the `label` and `label_time` that held at an instant (None: at the stream's end)."""
    known = labels if instant is None else labels.filter(pl.col("label_time") <= instant)
    return known.select("event_id", "label", "label_time").unique("event_id", keep="last", maintain_order=True)


def _split_by_time(plan: Plan, rows: pl.DataFrame, labels: pl.DataFrame) -> Split:
    known_at = {"train": plan.spans["validation"][0], "validation": plan.spans["test"][0], "test": None}
    time = pl.col("event_time")
    first, last = plan.spans["train"][0], plan.spans["test"][1]
    left_out = {
        "before train": rows.filter(time < first).height,
        "gap": rows.filter((time >= plan.spans["validation"][1]) & (time < plan.spans["test"][0])).height,
        "after test": rows.filter(time >= last).height,
    }
    parts = {}
    for name, instant in known_at.items():
        start, end = plan.spans[name]
        inside = rows.filter((time >= start) & (time < end))
        theirs = labels.join(inside.select("event_id"), on="event_id", how="semi", maintain_order="left")
        parts[name] = _labelled(inside, labels_known_at(theirs, instant))
        left_out[f"{name}: no label yet"] = inside.height - parts[name].height
    return Split(**parts, left_out=left_out, spans=plan.spans)


def _split_by_hash(use_case: UseCase, rows: pl.DataFrame, labels: pl.DataFrame) -> Split:
    settings = use_case.split
    assert not isinstance(settings, TimeSplit)
    ids = rows.get_column("event_id")
    if isinstance(settings, GroupSplit):
        # A row that names no entity belongs to no group: its own id decides.
        ids = rows.select(pl.coalesce(settings.entity, "event_id")).to_series()
    side = pl.Series(sides(ids.to_list(), settings))
    known = labels_known_at(labels, None)
    parts = {name: _labelled(rows.filter(side == i), known) for i, name in enumerate(PARTS)}
    left_out = {"no label": rows.height - sum(part.height for part in parts.values())}
    return Split(**parts, left_out=left_out, spans={name: _span(part, rows) for name, part in parts.items()})


def _labelled(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    joined = rows.drop("label", "label_time", strict=False).join(known, on="event_id", maintain_order="left")
    return joined.filter(pl.col("label").is_not_null())


def _span(part: pl.DataFrame, rows: pl.DataFrame) -> tuple[datetime, datetime]:
    times = (part if part.height else rows).get_column("event_time")
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise DataError("there are no rows to split", "check data.source and the quarantine table")
    return first, last


def _refuse_unusable(use_case: UseCase, split: Split) -> None:
    for name in PARTS:
        part: pl.DataFrame = getattr(split, name)
        start, end = split.spans[name]
        if part.is_empty():
            late = split.left_out.get(f"{name}: no label yet", 0)
            raise DataError(
                f"{name} is empty: no labelled row from {start} to {end}; {late} rows there have no label yet",
                "make split.train longer than the labels' delay, or move split.test_end",
            )
        if use_case.task == "regression":
            continue
        found = set(part.get_column("label").unique().to_list())
        expected = 2 if use_case.task == "binary" or name != "train" else len(use_case.data.labels.classes)
        if len(found) < expected:
            raise DataError(_missing_class(use_case, name, part.height, found), f"make split.{name} longer or larger")


def _missing_class(use_case: UseCase, name: str, height: int, found: set[float]) -> str:
    if use_case.task == "binary":
        return f"{name} holds no {'negative' if 1.0 in found else 'positive'} label among its {height} rows"
    classes = use_case.data.labels.classes
    missing = [c for i, c in enumerate(classes) if float(i) not in found]
    return f"{name} holds no row of class {', '.join(missing)} among its {height} rows"
