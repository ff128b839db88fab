"""The meaning of windows said once more, in plain Python: slow, and sharing no idea with the sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from sluice.windows.definition import Aggregation, WindowView
from sluice.windows.stream import value_name
from sluice.windows.sweep import sweep
from windows.worlds import World

Row = dict[str, Any]


def seen(view: WindowView, aggregation: Aggregation, entries: list[Row], question: Row) -> list[Row]:
    """The entries that a question sees, by the words of the rule."""
    t, hop = question["time"], view.hop_us
    as_of = t if question.get("arrival") is None else question["arrival"]
    event_id = question.get("event_id") if view.stream == "events" else None
    return [
        e
        for e in entries
        if e["key"] == question["key"]
        and e[value_name(aggregation.column)] is not None
        and (e["arrival"] <= as_of or (e["time"], e["event_id"]) == (t, event_id))
        and e["time"] // hop > (t - aggregation.window_us) // hop
        and (e["time"] <= t if event_id is None else (e["time"], e["event_id"]) <= (t, event_id))
    ]


def feature(view: WindowView, aggregation: Aggregation, entries: list[Row], question: Row) -> float:
    """One feature; NaN for null."""
    inside = seen(view, aggregation, entries, question)
    pairs = [(e["sign"], e[value_name(aggregation.column)]) for e in inside]
    n = sum(sign for sign, _ in pairs)
    total = sum(sign * value for sign, value in pairs)
    if aggregation.function in ("count", "sum"):
        return float(n if aggregation.function == "count" else total)
    if aggregation.function == "time_since_last":
        own = question.get("event_id") if view.stream == "events" else None
        times = [e["time"] for e in inside if (e["time"], e["event_id"]) != (question["time"], own)]
        return (question["time"] - max(times)) / 1e6 if times else math.nan
    if n == 0:
        return math.nan
    if aggregation.function == "mean":
        return float(total) / float(n)
    if aggregation.function == "std":
        mean = Fraction(total, n)
        return math.sqrt(sum(sign * (value - mean) ** 2 for sign, value in pairs) / n)
    values = [value for _, value in pairs]
    return float(min(values) if aggregation.function == "min" else max(values))


def brute_force(view: WindowView, entries: pl.DataFrame, questions: pl.DataFrame) -> np.ndarray:
    """float64 [aggregations x questions], NaN for null."""
    rows, asked = entries.to_dicts(), questions.to_dicts()
    answers = [[feature(view, a, rows, q) for q in asked] for a in view.aggregations]
    return np.array(answers, dtype=np.float64).reshape(len(view.aggregations), questions.height)


Sweep = Callable[[World], pl.DataFrame]


def by_sweep(world: World) -> pl.DataFrame:
    """The code under test."""
    return sweep(world.view, world.entries, world.questions)


def disagreements(world: World, way: Sweep = by_sweep) -> list[str]:
    """The features, by name, in which a way of answering differs from the rule.

    Bit for bit, but for the deviation: its rule is in exact fractions, and only its last root is rounded.
    """
    found = way(world)
    expected = brute_force(world.view, world.entries, world.questions)
    wrong = []
    for a, right in zip(world.view.aggregations, expected, strict=True):
        given = found.get_column(a.name).fill_null(math.nan).to_numpy()
        tolerance = 1e-14 if a.function == "std" else 0.0
        if not np.allclose(given, right, rtol=tolerance, atol=0, equal_nan=True):
            wrong.append(a.name)
    return wrong
