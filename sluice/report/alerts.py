"""The top alerts of a table and why, as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sluice.report.page import template, write_text
from sluice.report.words import short
from sluice.watch.explanations import Explained


def headline(one: Explained) -> str:
    """A row's score, and what it is measured against."""
    document = one.document
    text = f"score {one.score:.4f}" + (f", class {document['class']}" if "class" in document else "")
    if "base" in document:
        text += f" (the average of training data: {document['base']:.4f})"
    if "anchor" in document:
        decided = document.get("decision", document.get("class", ""))
        text += f": {decided}, in {document['precision']:.0%} of all cases where"
    return text


def reasons_of(one: Explained) -> list[str]:
    """Why, in words."""
    return one.reasons or ["nothing: it is so whatever the features are"]


def write_alerts_page(
    found: Sequence[Explained], folder: Path, *, model: str, version: str, source: str, written: datetime
) -> Path:
    """Write `folder`/explanations.html, which needs nothing but itself."""
    rows: list[dict[str, Any]] = [
        {"event_id": one.event_id, "headline": headline(one), "reasons": reasons_of(one)} for one in found
    ]
    page = template("alerts.html.j2").render(
        name=model, version=short(version), source=source, rows=rows, written=f"{written:%Y-%m-%d %H:%M} UTC"
    )
    return write_text(folder / "explanations.html", page)
