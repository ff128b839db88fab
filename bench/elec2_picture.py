"""The accuracy of the policies over the weeks, with a mark at each promotion, as one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
from elec2_story import Story

from sluice.report import drawing

WIDE, HIGH, LANE = 900, 320, 26
WEEKS = 4
"""A point is the mean of so many weeks, up to its own: single weeks hide which line lies above."""
SIZES = {"promoted": 150, "refused": 16, "alert": 50}
_COLOURS = (drawing.CHAMPION, drawing.CHALLENGER, drawing.RUNGS[1], drawing.RUNGS[2], drawing.RUNGS[0])


def draw(stories: Sequence[Story], *, title: str) -> str:
    """The SVG's text: accuracy by week above, promotions, refusals and alerts of each policy below."""
    names = [one.name for one in stories]
    colour = alt.Scale(domain=names, range=list(_COLOURS[: len(names)]))
    chart = alt.vconcat(_weeks(stories, colour, title), _lanes(stories, colour), spacing=10)
    return drawing.picture(chart.resolve_scale(color="shared"), title)


def _x(name: str, stories: Sequence[Story], *, labels: bool) -> Any:
    time = stories[0].scored.get_column("event_time")
    axis = alt.Axis(title=None, format="%b %Y", tickCount=12, grid=False, labels=labels)
    return alt.X(f"{name}:T", scale=alt.Scale(type="utc", domain=[_iso(time[0]), _iso(time[-1])]), axis=axis)


def _weeks(stories: Sequence[Story], colour: Any, title: str) -> Any:
    lines = {one.name: _smooth(one) for one in stories}
    values = [{"at": _iso(start), "value": value, "who": who} for who, line in lines.items() for start, value in line]
    y = alt.Y("value:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=title, format="%", minExtent=80))
    legend = alt.Legend(columns=len(stories), symbolType="stroke")
    base = alt.Chart(drawing.rows(values)).encode(
        x=_x("at", stories, labels=False), y=y, color=alt.Color("who:N", scale=colour, legend=legend)
    )
    # Policies that promote nothing have one line: the dashes of the second let the first be seen.
    all_lines = list(lines.values())
    dashed = [[6, 6] if line in all_lines[:number] else [1, 0] for number, line in enumerate(all_lines)]
    dashes = alt.Scale(domain=list(lines), range=dashed)
    drawn = base.encode(strokeDash=alt.StrokeDash("who:N", scale=dashes, legend=None))
    return drawn.mark_line(strokeWidth=2).properties(width=WIDE, height=HIGH)


def _smooth(story: Story) -> list[tuple[datetime, float]]:
    weekly = list(story.weekly("accuracy"))
    spans = [weekly[max(0, number - WEEKS + 1) : number + 1] for number in range(len(weekly))]
    return [(span[-1][0], sum(value for _, value in span) / len(span)) for span in spans]


def _lanes(stories: Sequence[Story], colour: Any) -> Any:
    marks = [mark for one in stories for mark in _marks(one)]
    told = [one.name for one in stories if any(mark["who"] == one.name for mark in marks)]
    shape = alt.Scale(domain=["promoted", "refused", "alert"], range=["triangle-up", "circle", "diamond"])
    return (
        alt.Chart(drawing.rows(marks))
        .mark_point(filled=True, opacity=1)
        .encode(
            x=_x("at", stories, labels=True),
            y=alt.Y("who:N", sort=told, axis=alt.Axis(title=None, minExtent=80, ticks=False, grid=True)),
            color=alt.Color("who:N", scale=colour, legend=None),
            shape=alt.Shape("what:N", scale=shape, legend=alt.Legend(orient="bottom")),
            size=alt.Size("size:Q", scale=None, legend=None),
        )
        .properties(width=WIDE, height=LANE * max(len(told), 1))
    )


def _marks(story: Story) -> list[dict[str, Any]]:
    found = [(one.at, "promoted" if one.decision == "promoted" else "refused") for one in story.trainings]
    found += [(at, "alert") for at, _ in story.alerts]
    return [{"at": _iso(at), "what": what, "who": story.name, "size": SIZES[what]} for at, what in found]


def _iso(at: datetime) -> str:
    return at.isoformat()
