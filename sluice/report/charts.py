"""The report's charts, each a function from documents to a Vega-Lite chart (None: nothing to draw)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from sluice.report import drawing
from sluice.report.drawing import MUTED, WIDTH
from sluice.report.evidence import CHALLENGER, CHAMPION, Document

Chart = Any
Named = Mapping[str, Document]
"""Evaluation documents by the name that is shown."""


def colours(shown: Mapping[str, str], drawn: Sequence[str]) -> Any:
    """The scale of those that are drawn; a contender has one colour through the whole report."""
    palette = {CHALLENGER: drawing.CHALLENGER, CHAMPION: drawing.CHAMPION}
    rungs = [name for name in shown if name not in palette]
    palette |= {name: drawing.RUNGS[i % len(drawing.RUNGS)] for i, name in enumerate(rungs)}
    names = [name for name in dict.fromkeys(drawn) if name in shown]
    return alt.Scale(domain=[shown[name] for name in names], range=[palette[name] for name in names])


_CURVES = {
    "pr": ("recall", "precision", "recall", "precision"),
    "roc": ("false_positive_rate", "true_positive_rate", "false positive rate", "true positive rate"),
}


def curve(documents: Named, which: str, scale: Any) -> Chart | None:
    """PR (`pr`) or ROC (`roc`): a line a contender."""
    x, y, *titles = _CURVES[which]
    points = [
        {"x": a, "y": b, "who": who, "order": i}
        for who, document in documents.items()
        if which in document.get("curves", {})
        for i, (a, b) in enumerate(zip(document["curves"][which][x], document["curves"][which][y], strict=True))
    ]
    if not points:
        return None
    lines = alt.Chart(drawing.rows(points)).mark_line(strokeWidth=2, interpolate="linear", clip=True)
    return lines.encode(
        x=alt.X("x:Q", axis=drawing.percent(titles[0]), scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("y:Q", axis=drawing.percent(titles[1]), scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("who:N", scale=scale),
        order="order:Q",
    ).properties(width=WIDTH, height=300)


_ODDS_TICKS = "format(1 / (1 + exp(-datum.value)), abs(datum.value) > 4 ? '.1%' : '.0%')"


def histogram(document: Document) -> Chart | None:
    """The share of each class that has a score, over the score in log odds."""
    found = document.get("histogram")
    if not found:
        return None
    edges, values = found["edges"], []
    for name in ("negative", "positive"):
        total = max(sum(found[name]), 1)
        values += [
            {"low": edges[i], "high": edges[i + 1], "share": rows / total, "label": name}
            for i, rows in enumerate(found[name])
        ]
    bars = alt.Chart(drawing.rows(values)).mark_rect(opacity=0.55)
    scale = alt.Scale(domain=["negative", "positive"], range=[drawing.NEGATIVE, drawing.POSITIVE])
    ticks = alt.Axis(title="score", values=[-7, -4.595, -2.197, 0, 2.197, 4.595, 7], labelExpr=_ODDS_TICKS, grid=False)
    return bars.encode(
        x=alt.X("low:Q", axis=ticks, scale=alt.Scale(domain=[-7, 7], nice=False)),
        x2="high:Q",
        y=alt.Y("share:Q", axis=drawing.percent("share of the class"), stack=None),
        y2=alt.datum(0),
        color=alt.Color("label:N", scale=scale),
    ).properties(width=WIDTH, height=220)


def calibration(documents: Named, scale: Any) -> Chart | None:
    """Share of positives over mean score, with each bin's interval, and the diagonal."""
    points = [{**b, "who": who} for who, document in documents.items() for b in document.get("calibration", [])]
    if not points:
        return None
    unit = alt.Scale(domain=[0, 1])
    base = alt.Chart(drawing.rows(points)).encode(
        x=alt.X("mean_score:Q", axis=drawing.percent("mean score of the bin"), scale=unit),
        color=alt.Color("who:N", scale=scale),
    )
    share = alt.Y("share:Q", axis=drawing.percent("share of positives"), scale=unit)
    diagonal = alt.Chart(drawing.rows([{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    diagonal = diagonal.mark_line(strokeDash=[4, 4], color=MUTED, strokeWidth=1).encode(x="x:Q", y="y:Q")
    bars = base.mark_rule(opacity=0.6).encode(y=alt.Y("share_low:Q", scale=unit), y2="share_high:Q")
    return (diagonal + bars + base.mark_point(filled=True, size=45, opacity=1).encode(y=share)).properties(
        width=WIDTH, height=300
    )


def intervals(figures: Sequence[dict[str, Any]], title: str, scale: Any, *, legend: bool) -> Chart | None:
    """Estimates with their intervals, a line a `place`, side by side a `who`: {place, who, estimate, low, high}."""
    shown = [figure for figure in figures if figure["estimate"] is not None]
    if not shown:
        return None
    places, names = (list(dict.fromkeys(f[key] for f in shown)) for key in ("place", "who"))
    base = alt.Chart(drawing.rows(shown)).encode(
        y=alt.Y("place:N", sort=places, axis=alt.Axis(title=None, ticks=False, domain=False, grid=True)),
        color=alt.Color("who:N", scale=scale, legend=alt.Legend() if legend else None),
    )
    if len(shown) > len(places):
        base = base.encode(yOffset=alt.YOffset("who:N", sort=names))
    x = alt.X("low:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title=title, tickCount=5))
    points = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("estimate:Q", scale=alt.Scale(zero=False)))
    height = max(60, len(places) * (14 + 13 * round(len(shown) / len(places))))
    return (base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q") + points).properties(width=WIDTH - 60, height=height)


def days(documents: Named, metric: str, title: str, scale: Any) -> Chart | None:
    """The metric day by day."""
    points = [
        {"day": day["day"], "value": day["metrics"][metric], "who": who}
        for who, document in documents.items()
        for day in document["days"]
        if day["metrics"].get(metric) is not None
    ]
    if len({point["day"] for point in points}) < 2:
        return None
    return (
        alt.Chart(drawing.rows(points))
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=30), strokeWidth=2)
        .encode(
            x=alt.X("utcyearmonthdate(day):T", axis=alt.Axis(title=None, format="%d %b", tickCount=7, grid=False)),
            y=alt.Y("value:Q", axis=alt.Axis(title=title), scale=alt.Scale(zero=False)),
            color=alt.Color("who:N", scale=scale),
        )
        .properties(width=WIDTH, height=220)
    )


def training(candidate: Document) -> Chart | None:
    """A candidate's curves by round or epoch, each on a scale of its own."""
    curves = {name: values for name, values in candidate.get("curves", {}).items() if len(values) > 1}
    panels = []
    for name, values in curves.items():
        step = max(1, len(values) // 200)
        points = [{"round": i + 1, "value": values[i]} for i in range(0, len(values), step)]
        lines = alt.Chart(drawing.rows(points), title=name.replace("_", " ")).mark_line(
            strokeWidth=2, color=drawing.CHALLENGER
        )
        panels.append(
            lines.encode(
                x=alt.X("round:Q", axis=alt.Axis(title=None, grid=False, format="d", tickMinStep=1)),
                y=alt.Y("value:Q", axis=alt.Axis(title=None, tickCount=4), scale=alt.Scale(zero=False)),
            ).properties(width=WIDTH, height=90)
        )
    return alt.vconcat(*panels, spacing=12) if panels else None


def drift(features: Sequence[Document]) -> Chart | None:
    """Stability index of each feature, the two usual marks drawn in."""
    if not features:
        return None
    ordered = sorted(features, key=lambda f: -f["psi"])[:30]
    names = alt.Y("feature:N", sort=[f["feature"] for f in ordered], axis=alt.Axis(title=None, grid=False))
    bars = alt.Chart(drawing.rows([{"feature": f["feature"], "psi": f["psi"]} for f in ordered]))
    index = alt.X("psi:Q", axis=alt.Axis(title="population stability index, train against test"))
    marks = alt.Chart(drawing.rows([{"mark": 0.1}, {"mark": 0.25}]))
    lines = marks.mark_rule(strokeDash=[4, 4], color=MUTED).encode(x="mark:Q")
    return (bars.mark_bar(color=drawing.NEGATIVE, height={"band": 0.6}).encode(x=index, y=names) + lines).properties(
        width=WIDTH - 60, height=18 * len(ordered) + 10
    )


def confusion(document: Document) -> Chart | None:
    """True class down, predicted class across; shares of the true class."""
    table = document.get("confusion")
    if not table:
        return None
    classes = document["classes"]
    values = [
        {"true": classes[i], "said": classes[j], "rows": n, "share": n / max(sum(line), 1)}
        for i, line in enumerate(table)
        for j, n in enumerate(line)
    ]
    base = alt.Chart(drawing.rows(values)).encode(
        x=alt.X("said:N", sort=classes, axis=alt.Axis(title="predicted", labelAngle=0)),
        y=alt.Y("true:N", sort=classes, axis=alt.Axis(title="true")),
    )
    cells = base.mark_rect(color=drawing.CHALLENGER).encode(
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(range=[0.05, 0.8]))
    )
    return (cells + base.mark_text(color=drawing.INK).encode(text="rows:Q")).properties(width=320, height=260)


def residuals(document: Document) -> Chart | None:
    """Rows by label minus score."""
    found = document.get("residuals")
    if not found:
        return None
    edges = found["edges"]
    values = [{"low": edges[i], "high": edges[i + 1], "rows": n} for i, n in enumerate(found["rows"])]
    return (
        alt.Chart(drawing.rows(values))
        .mark_rect(color=drawing.CHALLENGER, opacity=0.7)
        .encode(
            x=alt.X("low:Q", axis=alt.Axis(title="label − score", grid=False)),
            x2="high:Q",
            y=alt.Y("rows:Q", axis=alt.Axis(title="rows")),
            y2=alt.datum(0),
        )
        .properties(width=WIDTH, height=220)
    )
