"""Labels that come for a rollout's own answers: joined by event id, with a loss between 0 and 1, from the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sluice.ledger.layout import partition_of
from sluice.ledger.tables import RESPONSES, encode
from sluice.rollout.labels import Losses
from sluice.rollout.ledger_labels import LedgerLabels, known_labels, loss_of
from sluice.settings.operation import Storage
from sluice.settings.rollout import Rollout
from sluice.storage import Store, open_store
from tests.rollout.test_controller import GOOD, led, stage
from tests.serving.serving_world import case

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPANS = [(START, START + timedelta(minutes=1)), (START + timedelta(minutes=1), START + timedelta(hours=1))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(Storage(url=str(tmp_path / "store")))


def answered(store: Store, version: str, rows: list[tuple[datetime, str, float]], name: str = "1") -> None:
    """Answers of a version, as the receiver stores them."""
    told: list[dict[str, Any]] = [
        {"source": "http://pod/", "id": f"{version}-{name}-{number}", "time": time, "row": 0, "event_id": event}
        | {"score": score, "version": version}
        for number, (time, event, score) in enumerate(rows)
    ]
    partition = partition_of("fraud", "responses", version, rows[0][0])
    store.put(f"{partition.prefix}/{name}.parquet", encode(pl.DataFrame(told, schema=RESPONSES)))


def source(store: Store, labels: dict[str, float], **settings: Any) -> LedgerLabels:
    """The source over these labels."""
    table = pl.DataFrame({"event_id": list(labels), "label": list(labels.values())})
    table = table.with_columns(pl.col("event_id").cast(pl.String), pl.col("label").cast(pl.Float64))
    return LedgerLabels(store, case(**settings), labels=lambda: table, levels=lambda _version: (1.0, 2.0, 5.0))


def test_answers_count_in_the_span_they_were_given_in_once_an_event_and_only_with_a_label(store: Store) -> None:
    late = START + timedelta(minutes=2)
    answered(store, "a" * 64, [(START, "e1", 0.9), (START, "e2", 0.2), (START, "unlabelled", 0.5), (late, "e3", 1.0)])
    answered(store, "b" * 64, [(START, "e1", 0.5), (START + timedelta(seconds=1), "e1", 0.0)])
    first, second = source(store, {"e1": 1.0, "e2": 0.0, "e3": 0.0}).losses("a" * 64, "b" * 64, SPANS)
    assert (first[0].rows, second[0].rows) == (2, 1)
    assert first[0].total == pytest.approx(0.1**2 + 0.2**2, abs=1e-6)
    assert first[1] == Losses(1, 0.25)
    assert second[0].total == pytest.approx(1.0)
    assert second[1] == Losses()


def test_without_answers_or_without_labels_it_says_nothing(store: Store) -> None:
    nothing = [(Losses(), Losses())] * 2
    assert source(store, {"e1": 1.0}).losses("a" * 64, "b" * 64, SPANS) == nothing
    answered(store, "a" * 64, [(START, "e1", 0.9)])
    assert source(store, {}).losses("a" * 64, "b" * 64, SPANS) == nothing


def test_losses_lie_between_0_and_1_and_are_least_for_the_truth() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([1.0, 1.0, 1.0], 50)
    several = pl.DataFrame({"scores": scores.tolist(), "label": rng.integers(0, 3, 50).astype(float)})
    losses = several.select(loss_of("multiclass")).to_series().to_numpy()
    wanted = ((scores - np.eye(3)[several.get_column("label").cast(int)]) ** 2).sum(axis=1) / 2
    np.testing.assert_allclose(losses, wanted, atol=1e-12)
    values = pl.DataFrame({"score": [1.0, 3.0, -1e9], "label": [1.0, 1.0, 1.0]})
    assert values.select(loss_of("regression", 4.0)).to_series().to_list() == [0.0, 0.5, 1.0]


def test_labels_are_those_that_the_use_cases_source_has_by_now(tmp_path: Path) -> None:
    """The last correction counts, what arrives later does not, and `data.end` ends learning, not the world."""
    hour = timedelta(hours=1)
    rows = [("e1", START, "1", START + hour), ("e2", START, "0", START + hour), ("e3", START, "1", START + 9 * hour)]
    columns = ["transaction_id", "time", "fraud", "fraud_known_at"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    table = table.with_columns(amount=pl.lit(5.0), card_id=pl.lit("c"), terminal_id=pl.lit("t"))
    table.write_parquet(tmp_path / "events.parquet")
    use_case = case()
    data = use_case.data.model_copy(update={"source": str(tmp_path / "events.parquet"), "end": START})
    found = known_labels(use_case.model_copy(update={"data": data}), START + 2 * hour)
    assert dict(found.sort("event_id").iter_rows()) == {"e1": 1.0, "e2": 0.0}


def test_a_challenger_that_the_labels_speak_against_is_taken_back_by_the_ledger(tmp_path: Path) -> None:
    """The controller and the ledger of production; the world's answers go into the ledger, their labels come later."""
    world, registry, old, new = stage(tmp_path, GOOD, rate=200.0)
    labels: dict[str, float] = {}
    rng = np.random.default_rng(3)

    def sleep(seconds: float) -> None:
        world.sleep(seconds)
        for version in (old, new):
            told = [(world.now, f"{version[:4]}-{world.now}-{n}", 0.9) for n in range(20)]
            labels.update({event: float(rng.random() < (0.9 if version == old else 0.5)) for _, event, _ in told})
            answered(registry.store, version, told, str(world.now.timestamp()))

    ledger = LedgerLabels(registry.store, case(), labels=lambda: _table(labels), levels=lambda _version: ())
    policy = Rollout(steps=[50], min_requests=10**6, labels={"enabled": True, "every": "1m"})
    ended = led(world, registry, policy, sleep=sleep, labelled=ledger).roll_out()
    assert ended.kind == "taken-back"
    assert "loss on labelled answers (50 % of the traffic)" in ended.decision.reason


def _table(labels: dict[str, float]) -> pl.DataFrame:
    return pl.DataFrame({"event_id": list(labels), "label": list(labels.values())})
