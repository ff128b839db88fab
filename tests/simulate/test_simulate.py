"""The simulated world: reproducible, unique ids, shares of fraud as drawn, changes only from their day on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import digests
from sluice.simulate import BrokenColumn, FraudPattern, PriceRise, World, simulate, write_raw

SMALL = World(cards=300, terminals=600, days=30)


def _with(*changes: BrokenColumn | FraudPattern | PriceRise) -> World:
    return World(cards=300, terminals=600, days=30, changes=changes)


def _day(table: pl.DataFrame) -> pl.Series:
    return table.select((pl.col("time") - SMALL.start).dt.total_days()).to_series()


def test_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_raw(SMALL, 3, tmp_path / name)
    parts = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert parts == ["part-0000.parquet"]
    assert all(digests.of_file(tmp_path / "a" / p) == digests.of_file(tmp_path / "b" / p) for p in parts)


def test_another_seed_is_another_world() -> None:
    assert not simulate(SMALL, 1)[0].equals(simulate(SMALL, 2)[0])


def test_a_shorter_world_leaves_no_parts_of_a_longer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.simulate.PART_ROWS", 5000)
    write_raw(SMALL, 1, tmp_path)
    assert len(list(tmp_path.iterdir())) > 1
    folder = write_raw(World(cards=30, terminals=60, days=5), 1, tmp_path)
    assert [p.name for p in folder.iterdir()] == ["part-0000.parquet"]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_any_world_keeps_the_rules(cards: int, terminals: int, days: int, seed: int) -> None:
    world = World(cards=cards, terminals=terminals, days=days)
    table, labels = simulate(world, seed)
    assert table.get_column("transaction_id").is_unique().all()
    assert table.get_column("time").is_sorted()
    assert table.get_column("time").is_between(world.start, world.start + timedelta(days=days)).all()
    assert table.get_column("card_id").is_between(0, cards - 1).all()
    assert table.get_column("terminal_id").is_between(0, terminals - 1).all()
    assert (table.get_column("amount") >= 0).all()
    assert table.select((pl.col("amount") * 100 - (pl.col("amount") * 100).round()).abs().max() < 1e-6).item() in (
        True,
        None,
    )
    assert (table.get_column("fraud_known_at") - table.get_column("time") == world.label_delay).all()
    assert ((table.get_column("scenario") > 0) == (table.get_column("fraud") == 1)).all()
    assert labels.columns == ["event_id", "label", "label_time"]
    assert labels.height == table.height


def test_the_default_world_is_the_handbooks() -> None:
    table, _ = simulate(World(), 7)
    assert 1_700_000 < table.height < 1_800_000
    assert 0.007 < table.get_column("fraud").mean() < 0.0095  # type: ignore[operator]
    assert set(table.get_column("scenario").unique()) == {0, 1, 2, 3}
    assert table.get_column("card_id").n_unique() > 4900


def test_large_amounts_are_fraud_and_compromised_terminals_are_wholly() -> None:
    table, _ = simulate(World(cards=300, terminals=600, days=30, terminal_rate=0.01), 5)
    assert table.filter(pl.col("amount") > SMALL.fraud_amount).get_column("fraud").min() == 1
    second = table.filter(pl.col("scenario") == 2).select(
        "terminal_id", day=_day(table.filter(pl.col("scenario") == 2))
    )
    same_day = table.with_columns(day=_day(table)).join(second.unique(), on=["terminal_id", "day"], how="semi")
    assert same_day.height > 0
    assert same_day.get_column("fraud").min() == 1


@pytest.mark.parametrize("change", [PriceRise(15), BrokenColumn(15), FraudPattern(15, rate=0.05)])
def test_a_change_leaves_what_came_before_it(change: PriceRise | BrokenColumn | FraudPattern) -> None:
    plain, changed = simulate(SMALL, 4)[0], simulate(_with(change), 4)[0]
    assert plain.height == changed.height
    assert plain.filter(_day(plain) < 15).equals(changed.filter(_day(changed) < 15))
    assert not plain.filter(_day(plain) >= 15).equals(changed.filter(_day(changed) >= 15))


def test_prices_rise_but_fraud_stays() -> None:
    plain, changed = simulate(SMALL, 4)[0], simulate(_with(PriceRise(10, factor=2.0)), 4)[0]
    later = _day(plain) >= 10
    assert changed.filter(later).get_column("amount").mean() == pytest.approx(
        2 * plain.filter(later).get_column("amount").mean(),  # type: ignore[operator]
        rel=1e-3,
    )
    assert changed.get_column("fraud").equals(plain.get_column("fraud"))


def test_broken_amounts() -> None:
    day = _day(simulate(SMALL, 4)[0])
    during = (day >= 10) & (day < 20)
    null = simulate(_with(BrokenColumn(10, "null", until=20)), 4)[0].get_column("amount")
    assert null.filter(during).null_count() == during.sum() == null.null_count()
    stuck = simulate(_with(BrokenColumn(10, "stuck", until=20)), 4)[0].get_column("amount")
    assert stuck.filter(during).n_unique() == 1
    cents = simulate(_with(BrokenColumn(10, "cents", until=20)), 4)[0].get_column("amount")
    plain = simulate(SMALL, 4)[0].get_column("amount")
    assert (cents.filter(during) - plain.filter(during) * 100).abs().max() < 1e-6  # type: ignore[operator]


def test_the_new_pattern_is_fraud_at_night() -> None:
    table, _ = simulate(_with(FraudPattern(15, rate=0.05)), 4)
    new = table.filter(pl.col("scenario") == 4)
    assert new.height > 20
    assert new.get_column("time").dt.hour().is_between(2, 4).all()
    assert (_day(new) >= 15).all()


def test_a_world_without_days_or_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        World(days=0)
    with pytest.raises(ValueError, match="zone"):
        World(start=SMALL.start.replace(tzinfo=None))
