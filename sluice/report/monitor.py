"""What the monitor found: in a terminal, as figures and a table for programs, and as a page of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.text import Text

from sluice.registry import Decision
from sluice.report import monitor_charts
from sluice.report.drawing import Drawer
from sluice.report.page import template, write_text
from sluice.report.words import METRICS, interval, number, short
from sluice.watch.acting import KINDS, Acted, tests_of
from sluice.watch.monitor import Watched
from sluice.watch.records import days_of

WORDS = {
    "quiet": ("Quiet", "good"),
    "violated": ("Violated", "bad"),
    "data-fault": ("Data fault", "wait"),
    "thin": ("Too little to tell", "wait"),
}
_STYLES = {"good": "bold green", "bad": "bold red", "wait": "bold yellow"}
REPORT, TABLE, FIGURES, DOCUMENT = "monitor.html", "days.parquet", "metrics.json", "monitor.json"


@dataclass(frozen=True)
class MonitorFiles:
    """Where report, table of days, figures and the whole document lie."""

    report: Path
    table: Path
    figures: Path
    document: Path


def monitor_text(watched: Watched, acted: Acted | None) -> Text:
    """The window's verdict, its worth against the promise, and what follows."""
    word, kind = WORDS[watched.window["verdict"]]
    lines = [" ".join(sentences(watched))]
    if acted is not None:
        lines.append(follows(acted))
    return Text.assemble((word, _STYLES[kind]), ": ", "\n".join(lines))


def follows(acted: Acted) -> str:
    """What was decided, for people."""
    if acted.decision is not None:
        again = "decided before" if acted.ruling.act is None else "decided now"
        return f"{acted.decision.kind} ({again}, decision {acted.decision.number}): {acted.decision.reason}"
    if acted.ruling.cause is not None:
        return f"Nothing follows: {acted.ruling.held}"
    return "Nothing follows."


def sentences(watched: Watched) -> list[str]:
    """What was found, for people."""
    window, pooled = watched.window, watched.pooled
    first, last = days_of(window)
    found = [
        f"Window {first} to {last}, {window['answers']:,} answers{' (recorded before)' if watched.repeated else ''}."
    ]
    found += [f"{test[0].upper()}{test[1:]}." for test in tests_of(window)]
    if window["drift"] is None:
        found.append("Too few of them held features to test them for drift.")
    elif not window["violated"] and not window["faults"]:
        found.append("Nothing moved beyond what is usual.")
    name = METRICS.get(pooled["metric"], pooled["metric"])
    if pooled["measured"] is None:
        found.append(f"No event day is mature yet: nothing is known of its {name} but the estimate.")
    else:
        span = f"{pooled['first']} to {pooled['through']}"
        told = f"{name[0].upper()}{name[1:]} on the mature days {span} is {interval(pooled['measured'])}"
        found.append(f"{told}; the gate promised {interval(pooled['promised'])}.")
    return found


def metrics_of(watched: Watched) -> dict[str, float]:
    """Figures for a metrics file, by name; what is not known is left out."""
    window, pooled, error = watched.window, watched.pooled, watched.error
    metric, found = pooled["metric"], {"answers": float(window["answers"])}
    provisional = [day for day in watched.days if not day.mature and day.estimate is not None]
    some: dict[str, Any] = {
        metric: pooled["measured"] and pooled["measured"]["estimate"],
        f"{metric}_promised": pooled["promised"]["estimate"],
        f"{metric}_drop": pooled["drop"] and pooled["drop"]["estimate"],
        f"{metric}_estimated": provisional[-1].estimate if provisional else None,
        "estimate_error": error["mean_absolute"],
        "drift_p_value": window["drift"] and window["drift"]["p_value"],
    }
    for part in window["drift"]["features"] if window["drift"] else ():
        some[f"{part['feature']}_distance"] = part["distance"]
    found |= {name: float(value) for name, value in some.items() if value is not None}
    counts = {"violated": len(window["violated"]), "faults": len(window["faults"])}
    return found | {name: float(count) for name, count in counts.items()}


def days_table(watched: Watched) -> pl.DataFrame:
    """A row an event day: `day`, `answers`, `labelled`, `mature`, `estimate`, and each metric with `_low`, `_high`."""
    names = list(watched.gathered.promise.metrics)
    ends = {"": "estimate", "_low": "low", "_high": "high"}
    schema: dict[str, Any] = {"day": pl.Date, "answers": pl.Int64, "labelled": pl.Int64, "mature": pl.Boolean}
    schema |= {"estimate": pl.Float64} | {f"{name}{end}": pl.Float64 for name in names for end in ends}
    rows = []
    for day in watched.days:
        row: dict[str, Any] = {key: getattr(day, key) for key in ("day", "answers", "labelled", "mature", "estimate")}
        document = day.document()["metrics"]
        row |= {f"{n}{end}": document.get(n, {}).get(key) for n in names for end, key in ends.items()}
        rows.append(row)
    return pl.DataFrame(rows, schema=schema)


def write_monitor_files(watched: Watched, log: Sequence[Decision], folder: Path, *, written: datetime) -> MonitorFiles:
    """Write monitor.html (which needs nothing but itself), days.parquet, metrics.json and monitor.json into a folder.

    Args:
        log: the decision log: alerts and training runs of this version are marked.
    """
    files = MonitorFiles(*(folder / name for name in (REPORT, TABLE, FIGURES, DOCUMENT)))
    write_text(files.report, _page(watched, log, written))
    days_table(watched).write_parquet(files.table)
    write_text(files.figures, json.dumps(metrics_of(watched), indent=1, sort_keys=True))
    document = {
        "window": watched.window,
        "at": watched.gathered.at.isoformat(),
        "performance": watched.pooled,
        "days": [day.document() for day in watched.days],
        "estimate_error": watched.error,
    }
    write_text(files.document, json.dumps({"format": 1, **document}, indent=1, sort_keys=True))
    return files


def _page(watched: Watched, log: Sequence[Decision], written: datetime) -> str:
    word, kind = WORDS[watched.window["verdict"]]
    gathered, metric = watched.gathered, watched.pooled["metric"]
    acts = [one for one in log if one.kind in KINDS and one.version == gathered.version]
    error = watched.error
    page: str = template("monitor.html.j2").render(
        name=gathered.use_case.name,
        version=short(gathered.version),
        at=f"{gathered.at:%Y-%m-%d %H:%M} UTC",
        outcome={"word": word, "kind": kind, "sentences": sentences(watched)},
        metric=METRICS.get(metric, metric),
        promised=interval(watched.pooled["promised"]),
        promise=gathered.promise,
        error={"days": error["days"], "mean": number(error["mean"]), "off": number(error["mean_absolute"])},
        days=[_day_row(day.document(), metric) for day in reversed(watched.days)],
        windows=[_window_row(one) for one in reversed(watched.history)],
        acts=[_act_row(one) for one in reversed(acts)],
        drawings=_drawings(watched, acts),
        settings=gathered.use_case.watch,
        share=f"{gathered.use_case.watch.performance.mature_share:.0%}",
        confidence=f"{gathered.use_case.evaluation.bootstrap.confidence:.0%}",
        cluster=gathered.use_case.evaluation.bootstrap.cluster,
        written=f"{written:%Y-%m-%d %H:%M} UTC",
    )
    return page


def _drawings(watched: Watched, acts: Sequence[Decision]) -> dict[str, Any]:
    drawer, pooled = Drawer(), watched.pooled
    days = [day.document() for day in watched.days]
    name = METRICS.get(pooled["metric"], pooled["metric"])
    marks = [{"at": one.figures["at"], "kind": one.kind} for one in acts]
    charts = {
        "performance": monitor_charts.performance(days, pooled["promised"], pooled["metric"], name),
        "distances": monitor_charts.distances(watched.history),
        "timeline": monitor_charts.timeline(watched.history, marks),
    }
    labels = {"performance": f"{name} by event day", "distances": "drift by window", "timeline": "windows and actions"}
    return {key: None if chart is None else drawer.svg(chart, labels[key]) for key, chart in charts.items()}


def _day_row(day: dict[str, Any], metric: str) -> dict[str, Any]:
    found = day["metrics"].get(metric)
    return {
        "day": day["day"],
        "answers": number(day["answers"]),
        "labelled": f"{day['labelled'] / max(day['answers'], 1):.0%}",
        "state": "mature" if day["mature"] else "provisional",
        "measured": "–" if found is None else interval(found),
        "estimate": number(day["estimate"]),
    }


def _window_row(window: dict[str, Any]) -> dict[str, Any]:
    first, last = days_of(window)
    word, kind = WORDS[window["verdict"]]
    days = f"{first}" if first == last else f"{first} to {last}"
    performance = window["performance"]
    measured = interval(performance["measured"]) if performance["measured"] else "–"
    return {
        **{"days": days, "answers": number(window["answers"]), "word": word, "kind": kind, "measured": measured},
        "tests": "; ".join(tests_of(window)) or "–",
    }


def _act_row(decision: Decision) -> dict[str, Any]:
    at = datetime.fromisoformat(decision.figures["at"])
    what = monitor_charts.ACTS[decision.kind]
    return {"number": decision.number, "at": f"{at:%Y-%m-%d %H:%M}", "what": what, "reason": decision.reason}
