"""Small simulated worlds for `bench/monitoring.py`: one in which nothing changes, and the same one with a change.

A seed's folder holds a version's reference and, by world, the scored feature rows of the days after it:

    request.json  reference.parquet  0.parquet 1.parquet …

Days count from the world's start. Training begins when terminals are taken over as often as they are freed (28 days)
and the longest window of labels has seen only such days (30 days, 7 days late).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from drift_alarms import NOTHING

from sluice.evaluation.metrics import metric
from sluice.export.graph import Graph
from sluice.features.historical import feature_names, feature_rows
from sluice.features.schema import FeatureColumn, FeatureSchema, to_matrix
from sluice.ingest import ingest
from sluice.scoring import score_table
from sluice.settings import UseCase, read_use_case
from sluice.settings.split import TimeSplit
from sluice.simulate import BrokenColumn, Change, FraudPattern, PriceRise, World, write_raw
from sluice.training.candidates import read_params
from sluice.training.kinds import fit_kind
from sluice.training.problem import Problem
from sluice.watch.sampling import reference_rows, with_scores

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILLED = 70
DAY = timedelta(days=1)
STOLEN = 0.01
"""Share of the cards that the new pattern steals each day: a small world has too few for the simulator's own."""


@dataclass(frozen=True)
class Calendar:
    """Training begins at FILLED; from `trained` on the version serves, from `changed` on the world is another."""

    trained: int
    changed: int
    end: int

    @staticmethod
    def of(case: UseCase, days: int) -> Calendar:
        """With the settings' split, a quiet window after training, and `days` days of each change."""
        assert isinstance(case.split, TimeSplit)
        trained = FILLED + (case.split.train + case.split.validation) // DAY
        changed = trained + case.watch.window // DAY
        return Calendar(trained, changed, changed + days)


def changes(calendar: Calendar) -> dict[str, tuple[Change, ...]]:
    """What happens, by name; nothing comes first. Prices that creep are on the last day where the others rose to."""
    start, days = calendar.changed, calendar.end - calendar.changed
    step = PriceRise(start).factor ** (1 / days)
    return {
        NOTHING: (),
        "new fraud pattern": (FraudPattern(start, rate=STOLEN),),
        "price rise": (PriceRise(start),),
        "prices creep up": tuple(PriceRise(day, factor=step) for day in range(start, calendar.end)),
        "broken column": (BrokenColumn(start),),
    }


def reach(cards: int) -> float:
    """How far a card goes, so that it has as many terminals in reach as in the simulator's own world."""
    whole = World()
    return float(whole.radius * (whole.cards / cards) ** 0.5)


def use_case(reference: int) -> UseCase:
    """The fraud use case with a smaller reference."""
    changed = {"features.repo": str(ROOT / "feature_repo"), "watch.reference_rows": reference}
    return read_use_case(ROOT / "use_cases" / "fraud.yaml", changed)


def write_worlds(folder: Path, case: UseCase, seed: int, cards: int, days: int, *, quiet: bool = False) -> bytes:
    """A seed's folder, of all worlds or of the one without a change; returns the graph that scores its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    calendar = Calendar.of(case, days)
    happening: dict[str, tuple[Change, ...]] = {NOTHING: ()} if quiet else changes(calendar)
    schema, graph = FeatureSchema(tuple(FeatureColumn(name) for name in feature_names(case))), b""
    for number, change in enumerate(happening.values()):
        world = World(days=calendar.end, cards=cards, terminals=2 * cards, radius=reach(cards), changes=change)
        rows = world_rows(folder / "raw", case, world, seed, after=FILLED if number == 0 else calendar.trained)
        if number == 0:
            graph = _write_version(folder, case, schema, rows, calendar)
        served = rows.filter(pl.col("day") >= calendar.trained)
        kept = served.select("event_time", "day", *schema.names)
        with_scores(kept, score_table(Graph(graph), schema, kept), schema).write_parquet(folder / f"{number}.parquet")
    request: dict[str, Any] = {
        "schema": schema.document(),
        "settings": case.watch.model_dump(mode="json"),
        "seed": seed,
    }
    request |= {"worlds": list(happening), "length": case.watch.window // DAY, **vars(calendar)}
    (folder / "request.json").write_text(json.dumps(request))
    return graph


def world_rows(raw: Path, case: UseCase, world: World, seed: int, *, after: int) -> pl.DataFrame:
    """Feature rows with label and `day`, from a day on."""
    places: dict[str, Any] = {"data.source": str(write_raw(world, seed, raw)), "data.end": "2030-01-01T00:00:00Z"}
    places |= {"features.repo": str(ROOT / "feature_repo"), "data.quality.max_quarantined": 1.0}
    found = ingest(read_use_case(ROOT / "use_cases" / "fraud.yaml", places), now=NOW)
    asked = found.events.filter(pl.col("event_time") >= world.start + after * DAY)
    rows = feature_rows(case, found.events, found.labels, questions=asked)
    labelled = rows.join(found.labels.select("event_id", "label"), on="event_id", how="left", maintain_order="left")
    return labelled.with_columns(day=(pl.col("event_time") - world.start).dt.total_days())


def _write_version(folder: Path, case: UseCase, schema: FeatureSchema, rows: pl.DataFrame, calendar: Calendar) -> bytes:
    """Train on the settings' split, write the reference; the graph."""
    assert isinstance(case.split, TimeSplit)
    cut = calendar.trained - case.split.validation // DAY
    train = rows.filter(pl.col("day") < cut)
    validation = rows.filter(pl.col("day").is_between(cut, calendar.trained, closed="left"))
    graph = trained(case, schema, train, validation)
    reference_rows(case, Graph(graph), schema, train, validation).write_parquet(folder / "reference.parquet")
    return graph


def trained(case: UseCase, schema: FeatureSchema, train: pl.DataFrame, validation: pl.DataFrame) -> bytes:
    """The graph of the settings' trees."""
    candidate = next(each for each in case.training.candidates if each.kind == "trees")
    (x, y), (x_validation, y_validation) = (
        (to_matrix(schema, part), part.get_column("label").cast(pl.Float64).to_numpy()) for part in (train, validation)
    )

    def measure(score: np.ndarray) -> float:
        return metric(case.training.metric, case.task, y_validation, score)

    problem = Problem(
        case.task, 2, schema, x, y, x_validation, y_validation, measure, higher=True, absolute=False,
        seed=case.seed, threads=1, device="cpu", memory=case.training.memory, opset=17,
    )  # fmt: skip
    return fit_kind(problem, read_params(candidate, dict(candidate.params)), None).model.to_onnx()
