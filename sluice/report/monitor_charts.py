"""Charts of a served version over time: what it is worth by event day, what moved by window, and what was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import altair as alt

from sluice.report import drawing
from sluice.report.drawing import WIDTH
from sluice.watch.parts import parts_of

Chart = Any
MEASURED, PROVISIONAL, ESTIMATED, PROMISED = "measured", "provisional", "estimated from scores", "promised by the gate"
_COLOURS = {
    MEASURED: drawing.CHALLENGER,
    PROVISIONAL: drawing.CHALLENGER,
    ESTIMATED: drawing.CHAMPION,
    PROMISED: drawing.INK,
}
SHORTLY = "all together"
"""The classifier's name in a legend."""
_MOST = 5
ACTS = {"alerted": "alert", "retraining": "training run"}
VERDICTS = {
    "quiet": drawing.RUNGS[1],
    "violated": drawing.POSITIVE,
    "data-fault": drawing.RUNGS[3],
    "thin": drawing.RUNGS[0],
}
_DAYS = alt.Axis(title=None, format="%d %b", tickCount=6, grid=False, labelOverlap=True)


def performance(days: Sequence[dict[str, Any]], promised: dict[str, Any], metric: str, title: str) -> Chart | None:
    """The gate's metric by event day: intervals, provisional days hollow, the estimate dashed, the promise a band."""
    points = _points(days, metric)
    if not points:
        return None
    x = alt.X("utcyearmonthdate(day):T", axis=_DAYS)
    y = alt.Y("value:Q", axis=alt.Axis(title=title, tickCount=5), scale=alt.Scale(zero=False))
    drawn = [name for name in _COLOURS if name == PROMISED or any(point["who"] == name for point in points)]
    scale = alt.Scale(domain=drawn, range=[_COLOURS[name] for name in drawn])
    # Two of them have one colour, and are told apart by being filled.
    colour = alt.Color("who:N", scale=scale, legend=alt.Legend(columns=2, symbolType="circle"))
    layers = [*_promise(promised), *_estimates(points, x, y, colour)]
    for name, filled in ((PROVISIONAL, False), (MEASURED, True)):
        own = [point for point in points if point["who"] == name]
        if not own:
            continue
        base = alt.Chart(drawing.rows(own)).encode(x=x, color=colour)
        rules = base.mark_rule(strokeWidth=1.5, opacity=0.55).encode(y=alt.Y("low:Q"), y2="high:Q")
        mark = base.mark_point(filled=filled, size=42, opacity=1, strokeWidth=1.8).encode(y=y)
        layers += [rules, mark]
    return alt.layer(*layers).properties(width=WIDTH, height=240)


def _points(days: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    points = []
    for day in days:
        found = day["metrics"].get(metric)
        if found is not None and found["estimate"] is not None:
            who = MEASURED if day["mature"] else PROVISIONAL
            bounds = {name: found["estimate"] if found[name] is None else found[name] for name in ("low", "high")}
            points.append({"day": day["day"], "value": found["estimate"], **bounds, "who": who})
        if day["estimate"] is not None:
            points.append({"day": day["day"], "value": day["estimate"], "who": ESTIMATED})
    return points


def _promise(promised: dict[str, Any]) -> list[Chart]:
    if promised["estimate"] is None:
        return []
    base = alt.Chart(drawing.rows([{**promised, "who": PROMISED}]))
    line = base.mark_rule(strokeWidth=1.5, strokeDash=[6, 4], color=drawing.INK).encode(y="estimate:Q")
    if promised["low"] is None:
        return [line]
    band = base.mark_rect(color=drawing.MUTED, opacity=0.14).encode(y=alt.Y("low:Q"), y2="high:Q")
    return [band, line]


def _estimates(points: Sequence[dict[str, Any]], x: Any, y: Any, colour: Any) -> list[Chart]:
    own = [point for point in points if point["who"] == ESTIMATED]
    if not own:
        return []
    line = alt.Chart(drawing.rows(own)).mark_line(strokeWidth=1.6, strokeDash=[2, 3])
    return [line.encode(x=x, y=y, color=colour)]


def distances(windows: Sequence[dict[str, Any]]) -> Chart | None:
    """How far the features that moved most lie from the reference, window by window; what moved is filled red."""
    points = [
        {"day": _middle(window), "distance": part["distance"], "feature": part["feature"], "moved": part["moved"]}
        for window in windows
        if window["drift"] is not None
        for part in parts_of(window["drift"], SHORTLY)
    ]
    far: dict[str, float] = {}
    for point in points:
        far[point["feature"]] = max(far.get(point["feature"], 0.0), point["distance"])
    shown = sorted(far, key=lambda name: -far[name])[:_MOST]
    points = [point for point in points if point["feature"] in shown]
    if not points:
        return None
    palette = [drawing.CHALLENGER, *drawing.RUNGS]
    scale = alt.Scale(domain=shown, range=palette[: len(shown)])
    x = alt.X("utcyearmonthdate(day):T", axis=_DAYS)
    y = alt.Y("distance:Q", axis=alt.Axis(title="distance from the reference", tickCount=5))
    base = alt.Chart(drawing.rows(points)).encode(x=x, y=y)
    colour = alt.Color("feature:N", scale=scale, legend=alt.Legend(columns=2, symbolType="stroke"))
    lines = base.mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(filled=True, size=18)).encode(color=colour)
    moved = base.transform_filter("datum.moved").mark_point(filled=True, size=60, opacity=1, color=drawing.POSITIVE)
    return alt.layer(lines, moved).properties(width=WIDTH, height=240)


def timeline(windows: Sequence[dict[str, Any]], acts: Sequence[dict[str, Any]]) -> Chart | None:
    """The windows as bars by their verdict, and alerts and training runs as marks at their instant."""
    if not windows:
        return None
    bars = [
        {"start": _day(window["start"]), "end": _day(window["end"]), "lane": "windows", "what": window["verdict"]}
        for window in windows
    ]
    words = VERDICTS | {"alert": drawing.CHAMPION, "training run": drawing.CHALLENGER}
    marks = [{"start": _day(act["at"]), "lane": ACTS[act["kind"]] + "s", "what": ACTS[act["kind"]]} for act in acts]
    there = [word for word in words if any(one["what"] == word for one in (*bars, *marks))]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=there, range=[words[word] for word in there]),
        legend=alt.Legend(columns=3, symbolType="square", symbolStrokeWidth=0),
    )
    lanes = [
        lane for lane in ("windows", "alerts", "training runs") if any(one["lane"] == lane for one in (*bars, *marks))
    ]
    y = alt.Y("lane:N", sort=lanes, axis=alt.Axis(title=None, grid=False, ticks=False, domain=False))
    x = alt.X("utcyearmonthdate(start):T", axis=_DAYS)
    spans = alt.Chart(drawing.rows(bars)).mark_bar(height=16, stroke=drawing.GRID, strokeWidth=2)
    layers = [spans.encode(x=x, x2="end:T", y=y, color=colour)]
    if marks:
        points = alt.Chart(drawing.rows(marks)).mark_point(shape="diamond", filled=True, size=110, opacity=1)
        layers.append(points.encode(x=x, y=y, color=colour))
    return alt.layer(*layers).properties(width=WIDTH - 60, height=34 * len(lanes))


def _day(instant: str) -> str:
    return instant[:10]


def _middle(window: dict[str, Any]) -> str:
    start, end = (date.fromisoformat(_day(window[name])) for name in ("start", "end"))
    return (start + (end - start) / 2).isoformat()
