"""Evidence as a run would leave it, from made-up scores that behave like those of a fraud model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from sluice.evaluation.drift import feature_drift
from sluice.report import Evidence, evaluations_of
from sluice.settings import UseCase, parse_use_case

START = datetime(2018, 9, 10, tzinfo=UTC)
FEATURES = ["card_count_1d", "card_amount_mean_7d", "terminal_risk_7d", "amount", "night", "weekend"]


def use_case(**changes: Any) -> UseCase:
    """The fraud use case with few resamples."""
    document: dict[str, Any] = {
        "name": "fraud",
        "task": "binary",
        "seed": 7,
        "about": {"purpose": "Rank card transactions for review.", "owner": "risk team", "limitations": ["Made up."]},
        "data": {
            "source": "unused",
            "columns": {
                "event_time": "time",
                "entities": {"card": "card", "terminal": "terminal"},
                "values": {"amount": {"unit": 0.01}},
                "label": "fraud",
                "label_time": "known",
            },
        },
        "features": {
            "request": [
                {"kind": "value", "name": "amount", "column": "amount"},
                {"kind": "hours", "name": "night", "from_hour": 0, "to_hour": 6},
            ]
        },
        "split": {"by": "time", "train": "42d", "validation": "7d", "gap": "7d", "test": "14d"},
        "training": {"metric": "average_precision", "candidates": [{"id": "constant", "kind": "constant"}]},
        "evaluation": {
            "card_precision": {"k": 20, "entity": "card"},
            "bootstrap": {"resamples": 100, "cluster": "terminal"},
            "slices": [{"column": "amount", "bounds": [2000, 5000, 10000, 22000]}, {"column": "night"}],
        },
        "gate": {"metric": "average_precision"},
    }
    return parse_use_case(document | changes)


def sealed_rows(n: int = 6000, seed: int = 0) -> pl.DataFrame:
    """Labelled rows of 14 days."""
    random = np.random.default_rng(seed)
    times = [START + timedelta(days=14) * i / n for i in range(n)]
    terminal = random.integers(0, 300, n)
    fraud = (random.uniform(size=n) < np.where(terminal < 6, 0.35, 0.004)).astype(float)
    return pl.DataFrame(
        {
            "event_id": [f"e{i}" for i in range(n)],
            "event_time": times,
            "card": [f"c{i}" for i in random.integers(0, 800, n)],
            "terminal": [f"t{i}" for i in terminal],
            "card_count_1d": random.poisson(2, n).astype(float),
            "card_amount_mean_7d": random.gamma(4, 1300, n),
            "terminal_risk_7d": np.clip(random.normal(0.02, 0.03, n) + 0.2 * fraud, 0, 1),
            "amount": random.gamma(2, 2700, n) * (1 + fraud),
            "night": (random.uniform(size=n) < 0.2).astype(float),
            "weekend": (random.uniform(size=n) < 2 / 7).astype(float),
            "label": fraud,
            "label_time": [t + timedelta(days=7) for t in times],
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC"), "label_time": pl.Datetime("us", "UTC")},
    )


def sealed_scores(rows: pl.DataFrame, names: Mapping[str, float]) -> pl.DataFrame:
    """Scores of contenders; the number says how sharp each is."""
    random = np.random.default_rng(1)
    label, shared = rows.get_column("label").to_numpy(), random.normal(size=rows.height)
    table = rows.select("event_id", "label")
    for name, sharp in names.items():
        odds = (
            -5 + 0.8 * shared + 0.8 * random.normal(size=rows.height) + sharp * label * random.gamma(2, 1, rows.height)
        )
        table = table.with_columns(pl.Series(name, 1 / (1 + np.exp(-odds))))
    return table


def candidate(name: str, kind: str, value: float, rounds: int = 0) -> dict[str, Any]:
    """A candidate.json."""
    loss = [0.1 + 0.5 * float(np.exp(-i / 15)) for i in range(rounds)]
    gain = [0.7 - 0.4 * float(np.exp(-i / 10)) - 0.0005 * max(0, i - 50) for i in range(rounds)]
    return {
        "format": 1,
        "id": name,
        "kind": kind,
        "params": {"learning_rate": 0.1, "max_depth": 5, "subsample": 0.8} if rounds else {},
        "metric": {"name": "average_precision", "validation": value},
        "curves": {"train_loss": loss, "validation": gain} if rounds else {},
        "notes": {"rounds_kept": rounds} if rounds else {},
        "parity": {"largest_difference": 2.4e-7, "tolerance": 1e-5},
        "int8": None,
        "run": {"seconds": 3.2, "rows_per_second": 412_345.6},
    }


def verdict(passed: bool, *, opened: bool = True) -> dict[str, Any]:
    """A verdict document."""
    better = "better: 0.7120 against champion's 0.6610: +0.0510 (+0.0210 to +0.0790, p = 0.0020)"
    figures = {"against": "champion", "ours": 0.712, "theirs": 0.661, "difference": 0.051, "p_value": 0.002}
    checks = [
        {"name": "lineage", "passed": True, "text": "no train row lies in the seal", "figures": {}, "threshold": 0},
        {"name": "not the champion", "passed": True, "text": "another version", "figures": {}, "threshold": None},
    ]
    late = [
        {"name": "ladder", "passed": True, "text": "better: 0.71 against rung logistic's 0.58: +0.13",
         "figures": {"against": "rung logistic"}, "threshold": 0.05},
        {"name": "champion", "passed": True, "text": better, "figures": figures, "threshold": 0.05},
        {"name": "calibration", "passed": passed, "text": "scores are off by 0.0310 on average (allowed 0.02)",
         "figures": {"error": 0.031}, "threshold": 0.02},
    ]  # fmt: skip
    if not opened:
        checks[1] |= {"passed": False, "text": "the challenger is the champion, byte for byte"}
    checks += late if opened else []
    refused = [check["text"] for check in checks if not check["passed"]]
    return {
        "format": 1,
        "passed": not refused,
        "reason": refused[0] if refused else f"passed all {len(checks)} checks",
        "checks": checks,
        "opened": opened,
        "metric": "average_precision",
        "alpha": 0.05,
        "smallest_detectable_effect": 0.021 if opened else None,
        "counts": {"rows": 6000, "openings": 1},
        "seeds": {"gate": 7},
        "digests": {"challenger": "a" * 64, "champion": "b" * 64, "seal": "c" * 64, "graph": None},
    }


def split_summary() -> dict[str, Any]:
    """What `Split.summary` gives."""
    edges = [START + timedelta(days=d) for d in (-56, -14, -7, 0, 14)]
    spans = {"train": edges[0:2], "validation": edges[1:3], "test": edges[3:5]}
    parts = {
        name: {"rows": 6000, "mean_label": 0.011, "start": start.isoformat(), "end": end.isoformat()}
        for name, (start, end) in spans.items()
    }
    return {"format": 1, "parts": parts, "left_out": {"gap": 67_000, "train: no label yet": 66_800}}


def evidence(passed: bool = True, rows: pl.DataFrame | None = None) -> Evidence:
    """Evidence of a run with a champion and two rungs."""
    case, rows = use_case(), sealed_rows() if rows is None else rows
    contenders = {"champion": 1.6, "rung constant": 0.0, "rung logistic": 1.2, "challenger": 2.0}
    scores = sealed_scores(rows, contenders)
    columns = [{"name": n, "kind": "number", "fill": None, "vocabulary": []} for n in FEATURES]
    return Evidence(
        use_case=case,
        verdict=verdict(passed),
        decision="promoted" if passed else "refused",
        evaluations=evaluations_of(case, rows, scores, thresholds={"challenger": 0.2}, seed=7),
        candidates=[
            candidate("constant", "constant", 0.011),
            candidate("logistic", "logistic", 0.58),
            candidate("trees", "trees", 0.704, rounds=120),
            candidate("network", "network", 0.701, rounds=14),
        ],
        chosen="trees",
        split=split_summary(),
        schema={"format": 1, "columns": columns},
        drift=feature_drift(rows.head(3000).with_columns(pl.col("amount") * 1.8), rows.tail(3000), FEATURES),
        ingest={"rows": 700_100, "events": 700_000, "quarantined": 100, "reasons": {"amount: below 0": 100}},
        version="a" * 64,
        digests={"data": "d" * 64, "code": "e" * 64},
        run="2026-11-23-1",
        written=datetime(2026, 11, 23, 12, tzinfo=UTC),
    )


def unopened() -> Evidence:
    """Evidence of a run whose seal stayed closed."""
    return replace(evidence(), verdict=verdict(False, opened=False), decision="refused", evaluations={}, drift=[])
