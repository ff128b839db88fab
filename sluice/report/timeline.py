"""A model's life over some weeks as a page of its own, and its drawing as a picture."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.report.drawing import Drawer, picture
from sluice.report.monitor import WORDS
from sluice.report.page import template, write_text
from sluice.report.timeline_charts import NARROW, WIDE, drawn
from sluice.report.timeline_marks import MARKS, Mark
from sluice.report.words import METRICS, interval, number, short
from sluice.watch.acting import tests_of
from sluice.watch.records import days_of
from sluice.watch.timeline import Act, Timeline

REPORT, PICTURE, DOCUMENT = "timeline.html", "timeline.svg", "timeline.json"
_STATES = {
    "kept": ("As promised", "good"),
    "fallen": ("Below the promise", "bad"),
    "unknown": ("Not known yet", "wait"),
}


@dataclass(frozen=True)
class TimelineFiles:
    """Where page, picture and document lie."""

    report: Path
    picture: Path
    document: Path


def marks_of(timeline: Timeline, given: Sequence[Mark] = ()) -> list[Mark]:
    """What happened, in order: what is given, what the monitor found first, what it did, and when all was well again.

    Args:
        given: what only somebody outside can know, such as when the world changed.
    """
    marks = [*given, *(_act_mark(act) for act in timeline.acts)]
    for kind, test, text in (("drift", "drift", "drift found"), ("fall", "performance", "below the promise")):
        first = next((one for one in timeline.windows if test in one["violated"]), None)
        if first is not None:
            marks.append(Mark(datetime.fromisoformat(first["at"]), kind, text, _found(first, test)))
    runs = [act.at for act in timeline.acts if act.verdict is not None]
    for chapter in timeline.chapters[1:]:
        kept = next((one for one in chapter.windows if one["performance"]["verdict"] == "kept"), None)
        if kept is not None and runs:
            marks.append(Mark(datetime.fromisoformat(kept["at"]), "kept", "as promised again", _worth(kept)))
    return sorted(marks, key=lambda mark: (mark.at, list(MARKS).index(mark.kind)))


def write_timeline_files(
    timeline: Timeline, marks: Sequence[Mark], folder: Path, *, about: Sequence[str] = (), written: datetime
) -> TimelineFiles:
    """Write timeline.html (which needs nothing but itself), timeline.svg and timeline.json into a folder.

    Args:
        marks: what `marks_of` gave.
        about: sentences about what is shown, for people.
    """
    files = TimelineFiles(*(folder / name for name in (REPORT, PICTURE, DOCUMENT)))
    title = METRICS.get(timeline.metric, timeline.metric)
    label = f"{title} and drift from {timeline.since:%Y-%m-%d} to {timeline.at:%Y-%m-%d}, and what happened"
    write_text(files.picture, picture(drawn(timeline, marks, title, width=WIDE), label))
    write_text(files.report, _page(timeline, marks, about, title, label, written))
    write_text(files.document, json.dumps(_document(timeline, marks), indent=1, sort_keys=True))
    return files


def sentences(timeline: Timeline) -> list[str]:
    """What became of it, for people."""
    title, last = METRICS.get(timeline.metric, timeline.metric), timeline.chapters[-1]
    answers = sum(chapter.answers for chapter in timeline.chapters)
    found = [f"{answers:,} answers from {timeline.since:%Y-%m-%d} to {timeline.at:%Y-%m-%d} by {_versions(timeline)}."]
    found += [f"{_when(act)}: {_short_verdict(act)}." for act in timeline.acts]
    if last.windows:
        found.append(f"Now: {_worth(last.windows[-1])}.")
    return [*found, f"Told in {title}, day by day as labels arrived."]


def _page(
    timeline: Timeline, marks: Sequence[Mark], about: Sequence[str], title: str, label: str, written: datetime
) -> str:
    windows, drawer = timeline.windows, Drawer()
    word, kind = _STATES[windows[-1]["performance"]["verdict"] if windows else "unknown"]
    page: str = template("timeline.html.j2").render(
        name=timeline.use_case.name,
        since=f"{timeline.since:%Y-%m-%d}",
        at=f"{timeline.at:%Y-%m-%d %H:%M} UTC",
        outcome={"word": word, "kind": kind, "sentences": sentences(timeline)},
        about=about,
        metric=title,
        wide=drawer.svg(drawn(timeline, marks, title, width=WIDE), label),
        narrow=drawer.svg(drawn(timeline, marks, title, width=NARROW), label),
        marks=[{"at": f"{mark.at:%Y-%m-%d}", "text": mark.text, "told": mark.told} for mark in marks],
        chapters=[_chapter_row(timeline, i) for i in range(len(timeline.chapters))],
        windows=[_window_row(one) for one in windows],
        why=timeline.why,
        written=f"{written:%Y-%m-%d %H:%M} UTC",
    )
    return page


def _act_mark(act: Act) -> Mark:
    decision = act.decision
    if decision.kind == "alerted":
        text = "data fault" if decision.figures.get("cause") == "data-fault" else "alert"
        return Mark(act.at, "alert", text, _sentence(decision.reason))
    text = "trained anew" if act.verdict is None else f"trained anew: {act.verdict['kind']}"
    told = f"{_sentence(decision.reason)} Run {decision.figures['run']}: {_short_verdict(act)}."
    return Mark(act.at, "run", text, told)


def _short_verdict(act: Act) -> str:
    if act.decision.kind == "alerted":
        return act.decision.reason
    if act.verdict is None:
        return "a training run that the gate has not judged"
    because = f": {act.verdict['reason']}" if act.verdict["reason"] else ""
    return f"version {short(act.verdict['version'])} was {act.verdict['kind']} by the gate{because}"


def _when(act: Act) -> str:
    return f"{act.at:%Y-%m-%d}, {'an alert' if act.decision.kind == 'alerted' else 'a training run'}"


def _found(window: dict[str, Any], test: str) -> str:
    said = [one for one in tests_of(window) if one.startswith("drift in") == (test == "drift")]
    first, last = days_of(window)
    return f"Window {first} to {last}: {'; '.join(said)}."


def _worth(window: dict[str, Any]) -> str:
    one = window["performance"]
    title = METRICS.get(one["metric"], one["metric"])
    if one["measured"] is None:
        return f"no label has told yet what version {short(window['version'])} is worth"
    span = f"{one['first']} to {one['through']}"
    return f"{title} {interval(one['measured'])} on {span}, promised {interval(one['promised'])}"


def _versions(timeline: Timeline) -> str:
    names = [short(chapter.version) for chapter in timeline.chapters]
    return f"version {names[0]}" if len(names) == 1 else f"versions {', then '.join(names)}"


def _sentence(text: str) -> str:
    return re.sub(r"\.?$", ".", f"{text[:1].upper()}{text[1:]}", count=1)


def _chapter_row(timeline: Timeline, i: int) -> dict[str, str]:
    chapter = timeline.chapters[i]
    return {
        "version": short(chapter.version),
        "days": f"{chapter.first:%Y-%m-%d} to {chapter.last:%Y-%m-%d}",
        "answers": number(chapter.answers),
        "promised": interval(chapter.promise.metrics[timeline.metric].document()),
        "rows": number(chapter.promise.rows),
    }


def _window_row(window: dict[str, Any]) -> dict[str, Any]:
    first, last = days_of(window)
    word, kind = WORDS[window["verdict"]]
    one = window["performance"]
    mature = f"{one['first']} to {one['through']}" if one["through"] else "–"
    measured = interval(one["measured"]) if one["measured"] else "no label yet"
    return {
        **{"days": f"{first} to {last}", "version": short(window["version"]), "answers": number(window["answers"])},
        **{"word": word, "kind": kind, "mature": mature, "measured": measured},
        "tests": "; ".join(tests_of(window)) or "–",
    }


def _document(timeline: Timeline, marks: Sequence[Mark]) -> dict[str, Any]:
    chapters = [
        {
            "version": chapter.version,
            "first": chapter.first.isoformat(),
            "last": chapter.last.isoformat(),
            "answers": chapter.answers,
            "promised": chapter.promise.metrics[timeline.metric].document(),
            "days": [day.document() for day in chapter.days],
            "windows": chapter.windows,
        }
        for chapter in timeline.chapters
    ]
    told = [{**vars(mark), "at": mark.at.isoformat()} for mark in marks]
    span = {"since": timeline.since.isoformat(), "at": timeline.at.isoformat()}
    return {"format": 1, "model": timeline.use_case.name, **span, "chapters": chapters, "marks": told}
