"""What moved since a version was trained: in a terminal, and as a page of its own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from sluice.report import drift_charts
from sluice.report.drawing import Drawer
from sluice.report.page import template, write_text
from sluice.report.words import number, short
from sluice.watch.drift import Drift
from sluice.watch.parts import TOGETHER

WORDS = {"quiet": ("Quiet", "good"), "drift": ("Drift", "bad"), "data-fault": ("Data fault", "wait")}
_STYLES = {"good": "bold green", "bad": "bold red", "wait": "bold yellow"}
_MOST_DRAWN = 6


def drift_table(drift: Drift) -> Table:
    """One line a feature, then the scores and all features together; what moved first."""
    columns = ("", "distance", "usual up to", "stability index", "mean before", "mean now", "missing now", "")
    table = Table(title=Text("What moved"), title_justify="left", header_style="dim")
    for column in columns:
        table.add_column(Text(column), justify="left" if not column else "right")
    for row in rows_of(drift):
        style = "bold red" if row["moved"] else None
        table.add_row(Text(row["name"]), *(row[key] for key in _FIGURES), Text(row["note"]), style=style)
    return table


def drift_text(drift: Drift) -> Text:
    """The verdict, and why."""
    word, kind = WORDS[drift.verdict]
    return Text.assemble((word, _STYLES[kind]), ": ", " ".join(sentences(drift)))


def sentences(drift: Drift) -> list[str]:
    """Why, for people."""
    document = drift.document
    rate, p_value = document["alarm_rate"], document["p_value"]
    broken = [f"{part['feature']} ({part['fault']})" for part in document["features"] if part["fault"]]
    moved = [row["name"] for row in rows_of(drift) if row["moved"]]
    found = []
    if broken:
        found.append(f"These look broken rather than changed: {', '.join(broken)}.")
    if moved:
        found.append(f"Farther from the reference than is usual: {', '.join(moved)}.")
    else:
        found.append("Nothing lies farther from the reference than is usual by a distance that matters.")
    found.append(f"p = {number(p_value)}: a quiet window alarms in {rate:.0%} of all cases.")
    return found


def rows_of(drift: Drift) -> list[dict[str, Any]]:
    """What the tables show, in order: what moved by how much beyond the usual, then the rest."""
    document = drift.document
    parts = [*document["features"], document["score"] | {"fault": None}]
    ordered = sorted(parts, key=lambda part: -part["distance"] / max(part["usual"], 1e-9))
    rows = [_row(part["feature"], part) for part in ordered]
    together = _row(TOGETHER, document["classifier"] | {"fault": None})
    return [together, *rows] if document["classifier"]["moved"] else [*rows, together]


_FIGURES = ("distance", "usual", "psi", "mean_reference", "mean_current", "missing_current")


def write_drift_report(drift: Drift, folder: Path, *, model: str, version: str, written: datetime) -> Path:
    """Write `folder`/drift.html, which needs nothing but itself."""
    word, kind = WORDS[drift.verdict]
    span = [_span(part) for part in (drift.reference, drift.window)]
    page = template("drift.html.j2").render(
        name=model,
        version=short(version),
        outcome={"word": word, "kind": kind, "sentences": sentences(drift)},
        rows=rows_of(drift),
        counts=drift.document["rows"],
        days=drift.document["days"],
        spans=span,
        rate=f"{drift.document['alarm_rate']:.0%}",
        naive=sum(part["discovered"] for part in drift.document["features"]),
        drawings=_drawings(drift),
        written=f"{written:%Y-%m-%d %H:%M} UTC",
    )
    return write_text(folder / "drift.html", page)


def _span(rows: pl.DataFrame) -> str:
    days = rows.get_column("event_time").dt.strftime("%Y-%m-%d")
    return " to ".join(days.sort().gather([0, -1]))


def _row(name: str, part: dict[str, Any]) -> dict[str, Any]:
    figures = {key: number(part.get(key)) for key in _FIGURES}
    return {"name": name, "moved": part["moved"], "note": part["fault"] or ("moved" if part["moved"] else "")} | figures


def _drawings(drift: Drift) -> dict[str, Any]:
    drawer, document = Drawer(), drift.document
    parts = [*document["features"], document["score"]]
    far = sorted(parts, key=lambda part: -part["distance"] / max(part["usual"], 1e-9))
    shown = [part for part in far if part["moved"] or part.get("fault")][:_MOST_DRAWN] or far[:2]
    names = [part["feature"] for part in shown]
    names += [] if "score" in names else ["score"]
    return {
        "distances": drawer.svg(drift_charts.distances(parts), "distance of each feature from the reference"),
        "moved": [(name, _drawn(drawer, drift, name)) for name in names],
    }


def _drawn(drawer: Drawer, drift: Drift, name: str) -> list[Any]:
    before, now = drift.reference, drift.window
    charts = [drift_charts.distribution(name, before.get_column(name), now.get_column(name))]
    if before.get_column(name).dtype != pl.String:
        charts.append(drift_charts.days(name, before, now))
    return [drawer.svg(chart, f"{name}, before and now") for chart in charts if chart is not None]
