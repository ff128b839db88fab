"""Write the report: one HTML file that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sluice.report.drawings import drawings_of
from sluice.report.evidence import Evidence
from sluice.report.view import facts_of


def write_report(evidence: Evidence, folder: Path) -> Path:
    """Write `folder`/report.html: verdict, contenders, curves, slices, training, features and data of one run."""
    page = template("report.html.j2").render(**facts_of(evidence), drawings=drawings_of(evidence))
    return write_text(folder / "report.html", page)


def template(name: str) -> Any:
    """A template of this package. HTML is escaped unless it is one of our own drawings; Markdown escapes itself."""
    environment = Environment(
        loader=PackageLoader("sluice.report"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escape_markdown
    return environment.get_template(name)


def escape_markdown(value: object) -> str:
    """Text that stays text in Markdown and in a table's cell: no HTML, link, emphasis or new column."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*[]|":
        text = text.replace(sign, f"\\{sign}")
    return text


def write_text(path: Path, text: str) -> Path:
    """Write a file as UTF-8, its folder made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
