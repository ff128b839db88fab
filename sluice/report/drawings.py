"""The report's charts, drawn from the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.evaluation.evaluate import slice_metric
from sluice.report import charts
from sluice.report.drawing import Drawer
from sluice.report.evidence import CHALLENGER, Evidence
from sluice.report.words import contender_name, metric_name


def drawings_of(evidence: Evidence) -> dict[str, Any]:
    """The report's charts as inline SVG by name, None where there is nothing to draw."""
    drawer = Drawer()
    shown = {name: contender_name(evidence, name) for name in evidence.evaluations}
    scale, both = charts.colours(shown, list(shown)), charts.colours(shown, [CHALLENGER, evidence.rival or CHALLENGER])
    everybody = {shown[name]: document for name, document in evidence.evaluations.items()}
    duel = {shown[name]: evidence.evaluations[name] for name in (CHALLENGER, evidence.rival) if name in shown}
    metric = evidence.verdict["metric"]
    title = metric_name(evidence, metric)
    mine = evidence.challenger or {}
    found = {
        "compared": charts.intervals(_compared(everybody, metric), title, scale, legend=False),
        "pr": charts.curve(everybody, "pr", scale),
        "roc": charts.curve(everybody, "roc", scale),
        "histogram": charts.histogram(mine),
        "rival_histogram": charts.histogram(evidence.evaluations[evidence.rival]) if evidence.rival else None,
        "calibration": charts.calibration(duel, both),
        "days": charts.days(duel, metric, title, both),
        "drift": charts.drift(evidence.drift),
        "confusion": charts.confusion(mine),
        "residuals": charts.residuals(mine),
    }
    drawn = {name: None if chart is None else drawer.svg(chart, f"{title}: {name}") for name, chart in found.items()}
    curves = {c["id"]: charts.training(c) for c in evidence.candidates}
    return {
        **drawn,
        "slices": _slice_drawings(evidence, duel, both, drawer),
        "training": {name: drawer.svg(chart, f"training of {name}") for name, chart in curves.items() if chart},
        "rival_name": contender_name(evidence, evidence.rival) if evidence.rival else "",
    }


def _compared(everybody: Mapping[str, Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    return [{"place": who, "who": who, **document["metrics"][metric]} for who, document in everybody.items()]


def _slice_drawings(evidence: Evidence, duel: Mapping[str, Any], scale: Any, drawer: Drawer) -> dict[str, Any]:
    metric, found = slice_metric(evidence.use_case), {}
    for column in dict.fromkeys(part["column"] for document in duel.values() for part in document["slices"]):
        figures = [
            {"place": part["value"], "who": who, **part["metrics"][metric]}
            for who, document in duel.items()
            for part in document["slices"]
            if part["column"] == column and metric in part["metrics"]
        ]
        chart = charts.intervals(figures, metric_name(evidence, metric), scale, legend=True)
        if chart is not None:
            found[column] = drawer.svg(chart, f"{metric} by {column}")
    return found
