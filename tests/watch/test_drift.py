"""A simulated world against its own reference, in the other environment: quiet, changed, broken."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from watched import TRAINED, case, made_up, reference_of, window_of, world_rows

from sluice.errors import WatchError
from sluice.report.drift import drift_table, drift_text, write_drift_report
from sluice.simulate import BrokenColumn, Change, PriceRise
from sluice.watch.drift import Drift, detect

QUICK = {"watch__classifier__rows": 400, "watch__classifier__draws": 40, "watch__draws": 200}
Found = dict[str, Drift]
CHANGES: dict[str, tuple[Change, ...]] = {
    "quiet": (),
    "price": (PriceRise(day=TRAINED),),
    "cents": (BrokenColumn(day=TRAINED, mode="cents"),),
}


@pytest.fixture(scope="module")
def found(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The first week after training in each world."""
    results = {}
    for name, changes in CHANGES.items():
        schema, rows = world_rows(tmp_path_factory.mktemp(name), 3, TRAINED + 7, *changes)
        reference, window = reference_of(rows, 4000), window_of(rows, TRAINED)
        results[name] = detect(case(**QUICK).watch, schema, reference, window, seed=7, python=python)
    return results


def moved(drift: Drift) -> set[str]:
    """The features beyond what is usual."""
    return {part["feature"] for part in drift.document["features"] if part["moved"]}


def test_a_quiet_week_is_quiet(found: Found) -> None:
    assert found["quiet"].verdict == "quiet"
    assert found["quiet"].document["rows"]["compared"] <= found["quiet"].window.height


def test_a_price_rise_is_drift_and_no_fault(found: Found) -> None:
    assert found["price"].verdict == "drift"
    assert "amount" in moved(found["price"])
    assert not {"weekend", "night"} & moved(found["price"])


def test_the_same_seed_judges_alike(found: Found, python: Path, tmp_path: Path) -> None:
    schema, _ = world_rows(tmp_path, 3, 1)
    first = found["price"]
    again = detect(case(**QUICK).watch, schema, first.reference, first.window, seed=7, python=python)
    assert again.document == first.document


def test_amounts_in_cents_are_a_data_fault(found: Found) -> None:
    assert found["cents"].verdict == "data-fault"
    faults = {part["feature"]: part["fault"] for part in found["cents"].document["features"] if part["fault"]}
    assert "lie outside of" in faults["amount"]


def test_page_table_and_metrics_say_it(found: Found, tmp_path: Path) -> None:
    for name, word in (("quiet", "Quiet"), ("price", "Drift"), ("cents", "Data fault")):
        drift = found[name]
        page = write_drift_report(drift, tmp_path / name, model="fraud", version="ab" * 32, written=_then())
        text = page.read_text()
        assert f'<strong class="word">{word}</strong>' in text
        assert "://" not in text.replace("http://www.w3.org", "")
        console = Console(record=True, width=140)
        console.print(drift_table(drift), drift_text(drift))
        assert word in console.export_text()
        assert drift.metrics()["p_value"] == drift.document["p_value"]
        assert {"amount_distance", "amount_psi", "score_psi"} <= set(drift.metrics())


def test_what_cannot_be_judged_is_said_by_the_other_side(python: Path) -> None:
    from watched import SCHEMA

    with pytest.raises(WatchError, match="a window of 9 days cannot be judged by a reference of 10") as refused:
        detect(case(**QUICK).watch, SCHEMA, made_up(10), made_up(9, first=10), seed=7, python=python)
    assert "longer watch.reference" in refused.value.hint


def _then() -> datetime:
    return datetime(2018, 7, 1, tzinfo=UTC)
