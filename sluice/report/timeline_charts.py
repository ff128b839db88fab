"""A model's life over time in one drawing: performance by day, drift by window, and what happened when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt

from sluice.report import drawing
from sluice.report.monitor_charts import MEASURED, PROVISIONAL, SHORTLY, VERDICTS
from sluice.report.timeline_marks import Mark, PlacedMarks
from sluice.watch.parts import parts_of
from sluice.watch.timeline import Chapter, Timeline

Chart = Any
WIDE, NARROW = 900, 300
"""Pixels of a plot: on a desk, and on a phone."""
_EXTENT = 62
_NOON = timedelta(hours=12)
_FEATURES = 4
_VERSIONS = (drawing.CHAMPION, drawing.CHALLENGER, *drawing.RUNGS)


def drawn(timeline: Timeline, marks: Sequence[Mark], title: str, *, width: int) -> Chart:
    """All of it, one below the other on one axis of time.

    Args:
        title: of the metric.
        width: of the plot, in pixels.
    """
    life = _Life(timeline, marks, width)
    parts = [life.performance(title), life.drift(), life.lanes()]
    return alt.vconcat(*(part for part in parts if part is not None), spacing=14).resolve_scale(color="independent")


class _Life:
    def __init__(self, timeline: Timeline, marks: Sequence[Mark], width: int) -> None:
        self._timeline, self._width = timeline, width
        self._placed = PlacedMarks(marks, timeline.since, timeline.at, width, words=width >= WIDE)
        self._domain = [_iso(timeline.since), _iso(timeline.at)]
        self._names = {one.version: f"version {one.version[:8]}" for one in timeline.chapters}

    def _x(self, name: str, *, labels: bool = False) -> Any:
        axis = alt.Axis(title=None, format="%d %b", tickCount=self._width // 75, grid=False, labels=labels)
        return alt.X(f"{name}:T", scale=alt.Scale(type="utc", domain=self._domain), axis=axis)

    def _y(self, name: str, title: str) -> Any:
        axis = alt.Axis(title=title, tickCount=5, minExtent=_EXTENT, maxExtent=_EXTENT)
        return alt.Y(f"{name}:Q", axis=axis, scale=alt.Scale(zero=False, nice=True))

    def _versions(self) -> Any:
        names = list(self._names.values())
        return alt.Scale(domain=names, range=[_VERSIONS[i % len(_VERSIONS)] for i in range(len(names))])

    def _rules(self, *, numbers: bool = False) -> list[Chart]:
        return self._placed.layers(self._x("at"), numbers=numbers)

    def performance(self, title: str) -> Chart:
        """Each event day with its interval, the mature weeks together, and what the gate promised of each version."""
        above = 20 + self._placed.height
        legend = alt.Legend(columns=2, symbolType="stroke", symbolOpacity=1, offset=above)
        colour = alt.Color("who:N", scale=self._versions(), legend=legend)
        y = self._y("value", title)
        layers = [*self._arriving(), *self._promises(y)]
        points = [point for chapter in self._timeline.chapters for point in self._points(chapter)]
        for state, filled in ((PROVISIONAL, False), (MEASURED, True)):
            own = [point for point in points if point["state"] == state]
            if own:
                base = alt.Chart(drawing.rows(own)).encode(x=self._x("at"), color=colour)
                layers.append(base.mark_rule(strokeWidth=1.2, opacity=0.28).encode(y="low:Q", y2="high:Q"))
                layers.append(base.mark_point(filled=filled, size=26, opacity=0.75, strokeWidth=1.4).encode(y=y))
        weeks = [week for chapter in self._timeline.chapters for week in self._weeks(chapter)]
        if weeks:
            base = alt.Chart(drawing.rows(weeks)).encode(x=self._x("start"), x2="end:T", color=colour)
            layers.append(base.mark_rect(opacity=0.22).encode(y="low:Q", y2="high:Q"))
            layers.append(base.mark_rule(strokeWidth=4).encode(y=y))
        layers += self._rules(numbers=True)
        return alt.layer(*layers).properties(width=self._width, height=250)

    def _points(self, chapter: Chapter) -> list[dict[str, Any]]:
        points = []
        for day in chapter.days:
            found = day.document()["metrics"].get(self._timeline.metric)
            if found is None or found["estimate"] is None:
                continue
            bounds = {name: found["estimate"] if found[name] is None else found[name] for name in ("low", "high")}
            state = MEASURED if day.mature else PROVISIONAL
            who = self._names[chapter.version]
            points.append({"at": _noon(day.day), "value": found["estimate"], **bounds, "state": state, "who": who})
        return points

    def _weeks(self, chapter: Chapter) -> list[dict[str, Any]]:
        """The mature days that the monitor judged together, each once."""
        found = {}
        for window in chapter.windows:
            one = window["performance"]
            if one["measured"] and one["measured"]["estimate"] is not None and one["verdict"] != "unknown":
                start, end = _day(one["first"]), _day(one["through"]) + timedelta(days=1)
                measured = {**one["measured"], "value": one["measured"]["estimate"]}
                span = {"start": _iso(start), "end": _iso(end), "who": self._names[chapter.version]}
                found[one["through"]] = {**measured, **span}
        return list(found.values())

    def _promises(self, y: Any) -> list[Chart]:
        layers = []
        for chapter in self._timeline.chapters:
            promised = chapter.promise.metrics[self._timeline.metric].document()
            if promised["estimate"] is None or promised["low"] is None:
                continue
            span = {"start": _iso(_midnight(chapter.first)), "end": _iso(_midnight(chapter.last) + timedelta(days=1))}
            base = alt.Chart(drawing.rows([{**promised, **span, "value": promised["estimate"]}]))
            base, colour = base.encode(x=self._x("start"), x2="end:T"), self._colour(chapter)
            layers.append(base.mark_rect(opacity=0.13, color=colour).encode(y=alt.Y("low:Q"), y2="high:Q"))
            layers.append(base.mark_rule(strokeWidth=1.6, strokeDash=[7, 4], color=colour).encode(y=y))
        return layers

    def _colour(self, chapter: Chapter) -> str:
        return _VERSIONS[self._timeline.chapters.index(chapter) % len(_VERSIONS)]

    def _arriving(self) -> list[Chart]:
        """Shade the days whose labels are still arriving."""
        young = [day.day for day in self._timeline.chapters[-1].days if not day.mature]
        mature = [day.day for day in self._timeline.chapters[-1].days if day.mature]
        young = [day for day in young if not mature or day > mature[-1]]
        if not young:
            return []
        span = [{"start": _iso(_day(min(young).isoformat())), "end": self._domain[1]}]
        base = alt.Chart(drawing.rows(span)).encode(x=self._x("start"), x2="end:T")
        return [base.mark_rect(color=drawing.GRID, opacity=0.8)]

    def _span(self, window: dict[str, Any]) -> dict[str, str]:
        """A window's time, as far as it is shown."""
        start = max(datetime.fromisoformat(window["start"]), self._timeline.since)
        return {"start": _iso(start), "end": _iso(datetime.fromisoformat(window["end"]))}

    def drift(self) -> Chart | None:
        """How far the features that moved most lie from the reference, and how far is usual, window by window."""
        far: dict[str, float] = {}
        parts = []
        for window in self._timeline.windows:
            for part in _parts(window):
                far[part["feature"]] = max(far.get(part["feature"], 0.0), part["distance"])
                parts.append({**self._span(window), **part})
        shown = sorted(far, key=lambda name: -far[name])[:_FEATURES]
        parts = [part for part in parts if part["feature"] in shown]
        if not parts:
            return None
        scale = alt.Scale(domain=shown, range=[drawing.NEGATIVE, *drawing.RUNGS[1:], drawing.RUNGS[0]][: len(shown)])
        colour = alt.Color(
            "feature:N", scale=scale, legend=alt.Legend(columns=4 if self._width > 500 else 2, symbolType="stroke")
        )
        y = self._y("distance", "distance")
        base = alt.Chart(drawing.rows(parts)).encode(x=self._x("start"), x2="end:T", color=colour)
        usual = base.mark_rule(strokeWidth=1.2, strokeDash=[2, 3], opacity=0.8).encode(y=alt.Y("usual:Q"))
        steps = base.mark_rule(strokeWidth=3).encode(y=y)
        return alt.layer(usual, steps, *self._rules()).properties(width=self._width, height=150)

    def lanes(self) -> Chart:
        """The windows by their verdict, and the version that was live."""
        bars = []
        for window in self._timeline.windows:
            bars.append({**self._span(window), "lane": "windows", "what": window["verdict"]})
        words = dict(VERDICTS)
        for chapter in self._timeline.chapters:
            name = self._names[chapter.version]
            words[name] = self._colour(chapter)
            end = _midnight(chapter.last) + timedelta(days=1)
            bars.append({"start": _iso(chapter.first), "end": _iso(end), "lane": "live", "what": name})
        there = [word for word in words if any(bar["what"] == word for bar in bars)]
        scale = alt.Scale(domain=there, range=[words[word] for word in there])
        legend = alt.Legend(columns=5 if self._width > 500 else 2, symbolType="square", symbolStrokeWidth=0)
        y = alt.Y(
            "lane:N",
            sort=["windows", "live"],
            axis=alt.Axis(title=None, grid=False, ticks=False, domain=False, minExtent=_EXTENT, maxExtent=_EXTENT),
        )
        base = alt.Chart(drawing.rows(bars)).mark_bar(height=16, stroke=drawing.GRID, strokeWidth=1.5, clip=True)
        bars_of = base.encode(
            x=self._x("start", labels=True), x2="end:T", y=y, color=alt.Color("what:N", scale=scale, legend=legend)
        )
        return alt.layer(bars_of, *self._rules()).properties(width=self._width, height=56)


def _parts(window: dict[str, Any]) -> list[dict[str, Any]]:
    if window["drift"] is None:
        return []
    parts = parts_of(window["drift"], SHORTLY)
    return [{name: part[name] for name in ("feature", "distance", "usual", "moved")} for part in parts]


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _noon(day: date) -> str:
    return _iso(datetime.combine(day, datetime.min.time(), UTC) + _NOON)
