"""From a Vega-Lite chart to inline SVG that follows the page's light and dark colours and loads nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from itertools import count
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

WIDTH = 440
"""Pixels of a chart's plot: two stand side by side on a desk, one fits a phone without shrinking to dust."""

# Stand-ins that no palette uses; the drawn SVG has the page's variables in their place.
INK, MUTED, GRID = "#0a0001", "#0a0002", "#0a0003"
CHALLENGER, CHAMPION, NEGATIVE, POSITIVE = "#0a0004", "#0a0005", "#0a0006", "#0a0007"
PAPER = "#0a000c"
RUNGS = ("#0a0008", "#0a0009", "#0a000a", "#0a000b")
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    CHALLENGER: "--challenger",
    CHAMPION: "--champion",
    NEGATIVE: "--negative",
    POSITIVE: "--positive",
    PAPER: "--paper",
    **{colour: f"--rung-{i + 1}" for i, colour in enumerate(RUNGS)},
}
_AXIS = {
    "labelColor": MUTED,
    "titleColor": INK,
    "titleFontWeight": "normal",
    "gridColor": GRID,
    "domainColor": MUTED,
    "tickColor": MUTED,
    "labelFontSize": 11,
    "titleFontSize": 12,
    "labelLimit": 220,
}
_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": "DejaVu Sans, Verdana, sans-serif",
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "labelColor": INK,
        "title": None,
        "orient": "top",
        "labelFontSize": 12,
        "symbolStrokeWidth": 3,
        "labelLimit": 260,
        "columns": 4,
    },
    "header": {"labelColor": INK, "titleColor": INK},
    "title": {"color": INK, "fontSize": 12, "fontWeight": "normal", "anchor": "start"},
    "text": {"color": INK},
}


class Drawer:
    """Draws charts for one page: names inside the SVGs (clip paths, gradients) are unique on that page."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def svg(self, chart: Any, label: str) -> Markup:
        """The chart as an `<svg>` element that scales with its place; `label` is what a screen reader says."""
        drawn = vl_convert.vegalite_to_svg(chart.to_dict(), config=_CONFIG, allowed_base_urls=[])
        for colour, variable in _VARIABLES.items():
            drawn = drawn.replace(colour, f"var({variable})")
        # The converter numbers clip paths through a whole process: numbered by chart, the same page has the same bytes.
        names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', drawn))
        prefix = f"c{next(self._numbers)}"
        fresh = {name: f"{prefix}-{i}" for i, name in enumerate(names)}
        drawn = re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda m: m[1] + fresh.get(m[2], m[2]), drawn)
        head = Markup('<svg role="img" aria-label="{}" ').format(label)
        return Markup(re.sub(r"^<svg ", lambda _: str(head), drawn, count=1))


def picture(chart: Any, label: str) -> str:
    """The chart as an SVG file of its own, light or dark as its reader is."""
    drawn = str(Drawer().svg(chart, label))
    style = (resources.files("sluice.report") / "templates" / "style.css").read_text()
    colours = style[: style.index("* {")]
    start = drawn.index(">") + 1
    room = '<rect width="100%" height="100%" style="fill: var(--paper)"/>'
    return f"{drawn[:start]}<style>{colours}</style>{room}{drawn[start:]}\n"


def rows(values: Sequence[dict[str, Any]]) -> Any:
    """Inline data; nothing is fetched."""
    return alt.InlineData(values=list(values))


def percent(axis: str) -> Any:
    """An axis from 0 to 1 in percent."""
    return alt.Axis(title=axis, format="%", tickCount=5)
