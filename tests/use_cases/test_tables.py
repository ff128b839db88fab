"""Tables of other kinds through the whole loop: without time, of three classes, a value over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from whole_loop import CONSTANT, LINEAR, LOGISTIC, check_papers, check_scores, go_round, use_case_of

from sluice.export.graph import Graph

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PLANS = np.array(["free", "team", "company"])


def customers(rows: int, seed: int) -> pl.DataFrame:
    """Who leaves: no time, no entity, not even an id; an income is missing now and then."""
    random = np.random.default_rng(seed)
    income, plan, calls = random.normal(40, 10, rows), random.integers(0, 3, rows), random.poisson(2, rows)
    logit = (income - 40) / 10 - 1.5 * (plan == 2) + 0.7 * calls - 1.4
    left = random.random(rows) < 1 / (1 + np.exp(-logit))
    table = pl.DataFrame({"income": income, "plan": PLANS[plan], "calls": calls, "left": left})
    return table.with_columns(pl.when(pl.Series(random.random(rows) > 0.05)).then("income").alias("income"))


def test_a_table_without_time_or_entities(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "name": "leaving",
        "task": "binary",
        "data": {
            "columns": {
                "values": {
                    "income": {"missing": "keep"},
                    "plan": {"type": "category"},
                    "calls": {"unit": 1.0, "min": 0},
                },
                "label": "left",
            }
        },
        "features": {"request": [{"kind": "value", "name": n, "column": n} for n in ("income", "plan", "calls")]},
        "split": {"by": "random"},
        "evaluation": {"slices": [{"column": "plan"}, {"column": "calls", "bounds": [1, 3]}]},
    }
    use_case = use_case_of(customers(3000, 1), tmp_path, sections, [CONSTANT, LOGISTIC], "roc_auc")
    loop = go_round(use_case, tmp_path / "work")
    check_papers(loop)
    assert loop.figures["challenger"] > 0.75
    table = check_scores(loop, tmp_path / "scores.parquet")

    given = {"income": 55.0, "plan": "free", "calls": 4}
    stays, leaves, unheard = loop.ask(
        {"event_id": "a", **given, "income": None, "plan": "company", "calls": 0},
        {"event_id": "b", **given},
        {"event_id": "c", **given, "plan": "never heard of"},
    )
    assert leaves["score"] > 0.5 > stays["score"] and 0 < unheard["score"] < 1
    assert stays["features"][loop.servable().schema.names.index("income")] is None
    assert (table.get_column("score") < 0.3).any() and (table.get_column("score") > 0.7).any()


def parcels(rows: int, seed: int) -> pl.DataFrame:
    """How a parcel arrives: three named classes, the rows of one shop stay together."""
    random = np.random.default_rng(seed)
    weight, fragile, shop = random.gamma(2, 3, rows), random.integers(0, 2, rows), random.integers(0, 150, rows)
    logits = np.stack([np.full(rows, 1.0), weight / 4 - 1, 1.8 * fragile - 0.5], axis=1)
    state = np.argmax(logits + random.gumbel(size=logits.shape), axis=1)
    return pl.DataFrame(
        {
            "parcel": [f"p{i}" for i in range(rows)],
            "shop": [f"s{i}" for i in shop],
            "weight": weight,
            "fragile": fragile.astype(bool),
            "arrived": np.array(["whole", "late", "broken"])[state],
        }
    )


def test_three_classes_of_rows_that_stay_together(tmp_path: Path) -> None:
    classes = ["whole", "late", "broken"]
    sections: dict[str, Any] = {
        "name": "parcels",
        "task": "multiclass",
        "data": {
            "columns": {
                "event_id": "parcel",
                "entities": {"shop": "shop"},
                "values": {"weight": {"min": 0}, "fragile": {"type": "boolean"}},
                "label": "arrived",
            },
            "labels": {"classes": classes},
        },
        "features": {"request": [{"kind": "value", "name": n, "column": n} for n in ("weight", "fragile")]},
        "split": {"by": "group", "entity": "shop"},
        "evaluation": {"bootstrap": {"resamples": 200, "cluster": "shop"}, "slices": [{"column": "fragile"}]},
    }
    use_case = use_case_of(parcels(4000, 2), tmp_path, sections, [CONSTANT, LOGISTIC], "log_loss")
    loop = go_round(use_case, tmp_path / "work")
    check_papers(loop)
    assert loop.figures["challenger"] < loop.figures["constant"] - 0.05
    table = check_scores(loop, tmp_path / "scores.parquet")
    assert set(table.get_column("class")) <= set(classes)
    sums = table.select(pl.sum_horizontal(f"score_{name}" for name in classes)).to_series()
    assert sums.is_between(0.999, 1.001).all()

    (broken,) = loop.ask({"event_id": "q", "shop": "s1", "weight": 1.0, "fragile": True})
    assert broken["class"] == classes[int(np.argmax(broken["score"]))] == "broken"


def rides(rows: int, seed: int) -> pl.DataFrame:
    """How long a ride takes, in whole seconds: drivers differ, and a ride's length is known when it ends."""
    random = np.random.default_rng(seed)
    at = np.sort(random.integers(0, 60 * 86_400, rows))
    driver, distance = random.integers(0, 40, rows), np.round(random.gamma(3, 2, rows), 1)
    haste = random.normal(1, 0.3, 40).clip(0.4)
    seconds = np.rint(180 + 120 * distance * haste[driver] + random.normal(0, 90, rows)).clip(30).astype(int)
    start = [datetime(2024, 1, 1) + timedelta(seconds=int(s)) for s in at]
    return pl.DataFrame(
        {
            "ride": [f"r{i}" for i in range(rows)],
            "start": start,
            "driver": [f"d{i}" for i in driver],
            "distance": distance,
            "seconds": seconds,
            "end": [s + timedelta(seconds=int(m)) for s, m in zip(start, seconds, strict=True)],
        }
    )


def test_a_value_over_time_with_an_entity_and_windows(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "name": "rides",
        "task": "regression",
        "data": {
            "columns": {
                "event_id": "ride",
                "event_time": "start",
                "entities": {"driver": "driver"},
                "values": {"distance": {"unit": 0.1, "min": 0}},
                "label": "seconds",
                "label_time": "end",
            }
        },
        "features": {
            "repo": str(Path(__file__).parent / "rides"),
            "service": "rides_v1",
            "request": [
                {"kind": "value", "name": "distance", "column": "distance"},
                {"kind": "ratio", "name": "further", "numerator": "distance", "denominator": "driver_distance_mean_7d"},
                {"kind": "hours", "name": "night", "from_hour": 22, "to_hour": 6},
            ],
        },
        "split": {"by": "time", "train": "30d", "validation": "8d", "gap": "1d", "test": "12d"},
        "evaluation": {"bootstrap": {"resamples": 200, "cluster": "driver"}, "slices": [{"column": "night"}]},
    }
    use_case = use_case_of(rides(4000, 3), tmp_path, sections, [CONSTANT, LINEAR], "mae")
    loop = go_round(use_case, tmp_path / "work")
    check_papers(loop)
    assert loop.figures["challenger"] < 0.7 * loop.figures["constant"]
    table = check_scores(loop, tmp_path / "scores.parquet")
    error = table.join(pl.read_parquet(use_case.data.source), left_on="event_id", right_on="ride")
    assert (error.get_column("score") - error.get_column("seconds")).abs().mean() < 300

    asked = {"event_id": "next", "event_time": "2024-03-01T12:00:00Z", "distance": 6.0}
    known, stranger = loop.ask({**asked, "driver": "d1"}, {**asked, "driver": "nobody"})
    assert 180 < known["score"] < 3600
    assert known["unknown"] == [] and stranger["unknown"] == ["driver"]
    servable = loop.servable()
    again = Graph(servable.graph).score(np.array([known["features"]], dtype=np.float32))
    assert float(again[0]) == pytest.approx(known["score"])
