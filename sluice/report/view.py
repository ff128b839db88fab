"""What the templates show, from the evidence: words and numbers ready to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.evaluation.evaluate import slice_metric
from sluice.report.evidence import Evidence
from sluice.report.words import (
    MOVED,
    contender_name,
    day,
    interval,
    limits,
    metric_name,
    number,
    outcome,
    sentences,
    short,
)
from sluice.settings.metrics import HIGHER_IS_BETTER

LABEL_HEADINGS = {"binary": "Positive", "regression": "Mean label"}
"""What the mean of the labels says, by task; of classes it says nothing."""


def facts_of(evidence: Evidence) -> dict[str, Any]:
    """What report and card share: outcome, checks, metrics, slices, data, features, digests. No charts."""
    word, kind = outcome(evidence)
    verdict = evidence.verdict
    return {
        "name": evidence.use_case.name,
        "task": evidence.use_case.task,
        "about": evidence.use_case.about.model_dump(),
        "outcome": {"word": word, "kind": kind, "sentences": sentences(evidence)},
        "verdict": verdict,
        "checks": [_check(check) for check in verdict["checks"]],
        "metric": metric_name(evidence, verdict["metric"]),
        "metrics": _metrics(evidence),
        "slices": _slices(evidence),
        "slice_metric": metric_name(evidence, slice_metric(evidence.use_case)),
        "candidates": _candidates(evidence),
        "chosen": evidence.chosen,
        "features": _features(evidence),
        "parts": _parts(evidence),
        "label_heading": LABEL_HEADINGS.get(evidence.use_case.task, ""),
        "timed": evidence.use_case.split.by == "time",
        "left_out": [(name, number(count)) for name, count in evidence.split["left_out"].items() if count],
        "ingest": _ingest(evidence.ingest),
        "digests": _digests(evidence),
        "limits": limits(evidence),
        "run": evidence.run,
        "written": f"{evidence.written:%Y-%m-%d %H:%M} UTC" if evidence.written else "",
        "confidence": f"{evidence.use_case.evaluation.bootstrap.confidence:.0%}",
        "cluster": evidence.use_case.evaluation.bootstrap.cluster,
    }


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    figures = [(name.replace("_", " "), number(value)) for name, value in check["figures"].items()]
    against = check["figures"].get("against")
    return {
        "name": check["name"],
        "against": "" if against in (None, check["name"]) else str(against),
        "passed": check["passed"],
        "text": check["text"],
        "threshold": _threshold(check["threshold"]),
        "figures": figures,
    }


def _threshold(value: Any) -> str:
    return "" if value is None else number(value) if isinstance(value, int) else _shown(value)


def _metrics(evidence: Evidence) -> dict[str, Any]:
    if evidence.challenger is None:
        return {"contenders": [], "rows": []}
    up = HIGHER_IS_BETTER[evidence.use_case.task]
    rows = []
    for name in evidence.challenger["metrics"]:
        cells = [interval(document["metrics"][name]) for document in evidence.evaluations.values()]
        rows.append({"name": metric_name(evidence, name), "better": "higher" if up[name] else "lower", "cells": cells})
    return {"contenders": [contender_name(evidence, name) for name in evidence.evaluations], "rows": rows}


def _slices(evidence: Evidence) -> list[dict[str, Any]]:
    rival = evidence.evaluations.get(evidence.rival or "", {})
    theirs = {(part["column"], part["value"]): part["metrics"] for part in rival.get("slices", [])}
    metric, found = slice_metric(evidence.use_case), []
    for part in (evidence.challenger or {}).get("slices", []):
        other = theirs.get((part["column"], part["value"]), {}).get(metric)
        found.append(
            {
                "column": part["column"],
                "value": part["value"],
                "rows": number(part["rows"]),
                "mean_label": _mean_label(evidence, part["mean_label"]),
                "challenger": interval(part["metrics"][metric]),
                "rival": interval(other) if other else "",
            }
        )
    return found


def _candidates(evidence: Evidence) -> list[dict[str, Any]]:
    found, theirs = [], {c.id: c.import_ for c in evidence.use_case.training.candidates}
    for candidate in evidence.candidates:
        run, search = candidate.get("run", {}), candidate.get("search")
        found.append(
            {
                "id": candidate["id"],
                "kind": theirs.get(candidate["id"]) or candidate["kind"],
                "validation": number(candidate["metric"]["validation"]),
                "metric": metric_name(evidence, candidate["metric"]["name"]),
                "chosen": candidate["id"] == evidence.chosen,
                "seconds": number(run.get("seconds")),
                "speed": number(round(run["rows_per_second"])) if run.get("rows_per_second") else "–",
                "trials": number(len(search["trials"])) if search and "trials" in search else "",
                "params": [(name, _shown(value)) for name, value in candidate["params"].items()],
                "notes": [(n.replace("_", " "), _shown(v)) for n, v in candidate.get("notes", {}).items()],
                "parity": number(candidate.get("parity", {}).get("largest_difference")),
                "int8": [(n.replace("_", " "), _shown(v)) for n, v in (candidate.get("int8") or {}).items()],
            }
        )
    return found


def _features(evidence: Evidence) -> list[dict[str, Any]]:
    moved = {document["feature"]: document for document in evidence.drift}
    found = []
    for column in evidence.schema["columns"]:
        drift = moved.get(column["name"], {})
        kind = f"category, {len(column['vocabulary'])} known" if column["kind"] == "category" else "number"
        fill = "" if column["fill"] is None else f", missing as {number(float(column['fill']))}"
        found.append(
            {
                "name": column["name"],
                "kind": kind + fill,
                **{key: "–" if drift.get(key) is None else f"{drift[key]:.3f}" for key in ("psi", "ks")},
                **{key: number(drift.get(key)) for key in ("mean_reference", "mean_current")},
                "missing": number(drift.get("missing_current")),
                "moved": drift.get("psi", 0.0) > MOVED,
            }
        )
    return found


def _mean_label(evidence: Evidence, mean: float | None) -> str:
    return f"{mean:.2%}" if evidence.use_case.task == "binary" and mean is not None else number(mean)


def _parts(evidence: Evidence) -> list[dict[str, str]]:
    return [
        {
            "name": "sealed test" if name == "test" else name,
            "rows": number(part["rows"]),
            "mean_label": _mean_label(evidence, part["mean_label"]),
            "start": day(part["start"]),
            "end": day(part["end"]),
        }
        for name, part in evidence.split["parts"].items()
    ]


def _ingest(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What came in, and of the rest what occurred at all."""
    found = []
    for name, value in counts.items():
        shown = "set aside" if name == "reasons" else name.replace("_", " ")
        if isinstance(value, Mapping):
            found += [(f"{shown}, {reason}", number(n)) for reason, n in value.items() if n]
        elif value or name in ("rows", "events", "labels"):
            found.append((shown, number(value)))
    return found


def _digests(evidence: Evidence) -> list[tuple[str, str, str]]:
    found = {"version": evidence.version, **evidence.verdict.get("digests", {}), **evidence.digests}
    same = evidence.verdict.get("digests", {}).get("challenger") == evidence.version
    return [(name, short(d), d) for name, d in found.items() if d and not (same and name == "challenger")]


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(v) for v in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_shown(v)}" for k, v in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return f"{value:g}" if isinstance(value, float) else number(value)
