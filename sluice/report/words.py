"""The report's sentences and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sluice.report.evidence import CHALLENGER, CHAMPION, RUNG, Evidence
from sluice.settings.metrics import HIGHER_IS_BETTER

METRICS = {
    "average_precision": "average precision",
    "roc_auc": "AUC ROC",
    "card_precision": "card precision",
    "accuracy": "accuracy",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "f1_macro": "F1 (macro)",
    "precision_macro": "precision (macro)",
    "recall_macro": "recall (macro)",
    "roc_auc_ovr": "AUC ROC (one against rest)",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "pinball": "pinball loss",
}
MOVED = 0.25
"""A population stability index above this is much (Siddiqi 2006)."""
OUTCOMES = {
    "promoted": ("Promoted", "good"),
    "cleared": ("Passed, cleared for its rollout", "good"),
    "refused": ("Not promoted", "bad"),
    "awaiting-approval": ("Passed, waits for approval", "wait"),
}


def outcome(evidence: Evidence) -> tuple[str, str]:
    """What was decided, in words, and good, bad or wait."""
    return OUTCOMES.get(evidence.decision, (evidence.decision.replace("-", " ").capitalize(), "wait"))


def sentences(evidence: Evidence) -> list[str]:
    """Why, in the order that a person asks."""
    verdict, found = evidence.verdict, [_reason(evidence)]
    if evidence.challenger is None:
        return [*found, "The sealed test stayed closed: the gate refused before anything was scored."]
    metric, task = verdict["metric"], evidence.use_case.task
    better = "higher" if HIGHER_IS_BETTER[task][metric] else "lower"
    document = evidence.challenger
    rows = f"{document['rows']:,} sealed rows"
    if task == "binary" and document["mean_label"] is not None:
        rows += f", of which {document['mean_label']:.2%} are positive"
    said = f"On {rows}, the challenger's {metric_name(evidence, metric)} is {interval(document['metrics'][metric])}"
    if evidence.rival is not None:
        rival = evidence.evaluations[evidence.rival]["metrics"][metric]
        said += f"; {contender_name(evidence, evidence.rival, article=True)} reaches {interval(rival)}"
    found.append(f"{said} ({better} is better).")
    effect = verdict.get("smallest_detectable_effect")
    if effect is not None:
        found.append(f"These rows would show an improvement of {effect:.2g} or more four times in five.")
    return found


def _reason(evidence: Evidence) -> str:
    reason = str(evidence.verdict["reason"]).rstrip(".")
    name = f"The challenger ({evidence.chosen})"
    if evidence.verdict["passed"]:
        return f"{name} {reason}."
    return f"{name} was refused by the gate: {reason}."


def limits(evidence: Evidence) -> list[str]:
    """What the evidence itself says about where the model is weak or little is known."""
    found = [f"The gate refused it: {check['text']}." for check in evidence.verdict["checks"] if not check["passed"]]
    least = evidence.use_case.gate.min_slice_rows
    for part in (evidence.challenger or {}).get("slices", []):
        if part["rows"] < least:
            where = f"{part['column']} {part['value']}"
            found.append(f"Little is known of {where}: {part['rows']:,} sealed rows, fewer than {least:,}.")
    for moved in evidence.drift:
        if moved["psi"] > MOVED:
            name, index = moved["feature"], number(moved["psi"])
            found.append(f"{name} lies elsewhere in the sealed test than in training (stability index {index}).")
    for reason, count in evidence.split["left_out"].items():
        if count and reason.endswith("no label yet"):
            found.append(f"{count:,} rows of {reason.split(':')[0]} were left out: their labels had not arrived.")
    return found


def contender_name(evidence: Evidence, name: str, article: bool = False) -> str:
    """How a contender is called: challenger (trees), champion, logistic."""
    if name == CHALLENGER:
        shown = f"challenger ({evidence.chosen})"
    elif name == CHAMPION:
        shown = "champion"
    else:
        return ("the rung " if article else "") + name.removeprefix(RUNG)
    return f"the {shown}" if article else shown


def metric_name(evidence: Evidence, name: str) -> str:
    """The metric in words, with k where it has one."""
    settings = evidence.use_case.evaluation.card_precision
    if name == "card_precision" and settings is not None:
        return f"{METRICS[name]} at {settings.k}"
    return METRICS.get(name, name)


def number(value: Any) -> str:
    """A figure as people read it: three significant digits below 1, none wasted above; – where undefined."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    if abs(value) < 5e-5 or abs(value) >= 1e6:
        return f"{value:.2e}"
    digits = next((digits for below, digits in ((0.1, 4), (10, 3), (100, 1)) if abs(value) < below), 0)
    return f"{value:,.{digits}f}"


def interval(figure: Mapping[str, Any]) -> str:
    """`0.728 (0.701 to 0.752)`."""
    if figure["estimate"] is None:
        return "undefined"
    if figure["low"] is None:
        return number(figure["estimate"])
    return f"{number(figure['estimate'])} ({number(figure['low'])} to {number(figure['high'])})"


def day(text: str) -> str:
    """The date of an ISO instant, with the time where it is not midnight."""
    instant = datetime.fromisoformat(text)
    midnight = (instant.hour, instant.minute, instant.second, instant.microsecond) == (0, 0, 0, 0)
    return f"{instant:%Y-%m-%d}" if midnight else f"{instant:%Y-%m-%d %H:%M}"


def short(digest: str | None) -> str:
    """The first twelve digits of a digest."""
    return digest[:12] if digest else "–"
