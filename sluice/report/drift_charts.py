"""Charts of what moved: by how much, from where to where, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from sluice.report import drawing
from sluice.report.drawing import WIDTH

Chart = Any
BEFORE, NOW = "reference", "window"
_BINS = 30
_MOST = 40
_SCALE = alt.Scale(domain=[BEFORE, NOW], range=[drawing.MUTED, drawing.CHAMPION])


def distances(parts: Sequence[dict[str, Any]]) -> Chart:
    """How far each feature lies from the reference, with a mark up to where windows of the reference lie."""
    shown = sorted(parts, key=lambda part: -part["distance"])[:_MOST]
    values = [
        {**{key: part[key] for key in ("feature", "distance", "usual")}, "moved": "moved" if part["moved"] else "usual"}
        for part in shown
    ]
    names = alt.Y("feature:N", sort=[part["feature"] for part in shown], axis=alt.Axis(title=None, grid=False))
    base = alt.Chart(drawing.rows(values)).encode(y=names)
    colour = alt.Color(
        "moved:N",
        legend=None,
        scale=alt.Scale(domain=["moved", "usual"], range=[drawing.POSITIVE, drawing.NEGATIVE]),
    )
    distance = alt.X("distance:Q", axis=alt.Axis(title="distance from the reference; the mark: as far as is usual"))
    bars = base.mark_bar(height={"band": 0.6}).encode(x=distance, color=colour)
    marks = base.mark_tick(color=drawing.INK, thickness=2, height={"band": 0.9}).encode(x="usual:Q")
    return (bars + marks).properties(width=WIDTH - 60, height=18 * len(shown) + 10)


def distribution(name: str, reference: pl.Series, window: pl.Series) -> Chart | None:
    """Shares of rows by value, before and now; for numbers up to the 99th percentile of both together."""
    values = _by_category(reference, window) if reference.dtype == pl.String else _by_number(reference, window)
    if not values:
        return None
    base = alt.Chart(drawing.rows(values)).encode(
        y=alt.Y("share:Q", axis=alt.Axis(title="share of rows", format="%", tickCount=4)),
        color=alt.Color("who:N", scale=_SCALE),
    )
    if reference.dtype == pl.String:
        chart = base.mark_bar().encode(x=alt.X("value:N", axis=alt.Axis(title=name, labelAngle=0)), xOffset="who:N")
        return chart.properties(width=WIDTH, height=160)
    axis = alt.Axis(title=name, grid=False, tickCount=6)
    if any("category" in value for value in values):
        chart = base.mark_bar().encode(
            x=alt.X("category:N", sort=None, axis=alt.Axis(title=name, labelAngle=0)), xOffset="who:N"
        )
        return chart.properties(width=WIDTH, height=160)
    return (
        base.mark_area(interpolate="step-after", fillOpacity=0.2, line=True)
        .encode(
            x=alt.X("value:Q", axis=axis),
            y=alt.Y("share:Q", stack=None, axis=alt.Axis(title="share of rows", format="%", tickCount=4)),
        )
        .properties(width=WIDTH, height=160)
    )


def days(name: str, reference: pl.DataFrame, window: pl.DataFrame) -> Chart | None:
    """The mean of each day, before and now."""
    points = [
        {"day": str(day), "value": value, "who": who}
        for who, table in ((BEFORE, reference), (NOW, window))
        for day, value in _daily(name, table)
        if value is not None and np.isfinite(value)
    ]
    if len(points) < 3:
        return None
    return (
        alt.Chart(drawing.rows(points))
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=26), strokeWidth=1.5)
        .encode(
            x=alt.X("utcyearmonthdate(day):T", axis=alt.Axis(title=None, format="%d %b", tickCount=7, grid=False)),
            y=alt.Y("value:Q", axis=alt.Axis(title=f"{name}, mean", tickCount=4), scale=alt.Scale(zero=False)),
            color=alt.Color("who:N", scale=_SCALE),
        )
        .properties(width=WIDTH, height=160)
    )


def _daily(name: str, table: pl.DataFrame) -> list[tuple[Any, float | None]]:
    days_of = table.select(day=pl.col("event_time").dt.date(), value=pl.col(name).cast(pl.Float64).fill_nan(None))
    return days_of.group_by("day").agg(pl.col("value").mean()).sort("day").rows()


def _by_number(reference: pl.Series, window: pl.Series) -> list[dict[str, Any]]:
    samples = [series.drop_nulls().cast(pl.Float64).drop_nans().to_numpy() for series in (reference, window)]
    everything = np.concatenate(samples)
    if not everything.size:
        return []
    different = np.unique(everything)
    if len(different) <= 8:
        return [
            {"category": f"{value:g}", "share": float(np.mean(sample == value)) if sample.size else 0.0, "who": who}
            for who, sample in zip((BEFORE, NOW), samples, strict=True)
            for value in different
        ]
    low, high = everything.min(), np.quantile(everything, 0.99)
    edges = np.linspace(low, high if high > low else everything.max(), _BINS + 1)
    values = []
    for who, sample in zip((BEFORE, NOW), samples, strict=True):
        shares = np.histogram(sample, edges)[0] / max(len(sample), 1)
        values += [{"value": float(edges[i]), "share": float(shares[i]), "who": who} for i in range(_BINS)]
    return values


def _by_category(reference: pl.Series, window: pl.Series) -> list[dict[str, Any]]:
    kept = reference.drop_nulls().value_counts(sort=True).head(8).to_series().to_list()
    return [
        {"value": value, "share": float((series == value).sum()) / max(len(series), 1), "who": who}
        for who, series in ((BEFORE, reference), (NOW, window))
        for value in kept
    ]
