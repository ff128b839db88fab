"""Which transactions are fraud, and what a changed world does to them."""

from __future__ import annotations

import numpy as np

from sluice.simulate.transactions import Transactions, stream
from sluice.simulate.world import BrokenColumn, FraudPattern, PriceRise, World

CARD_AMOUNT_FACTOR = 5.0
CARD_FRAUD_SHARE = 1 / 3
NIGHT_SECONDS = (2 * 3600, 5 * 3600)


def commit_frauds(world: World, seed: int, t: Transactions) -> None:
    """Set `t.scenario` and the amounts and places of frauds (in place). Later scenarios lie over earlier ones."""
    t.scenario[t.amount > world.fraud_amount] = 1
    terminals = compromised(stream(seed, "terminals"), world.terminals, world.days, world.terminal_rate, world)
    t.scenario[_within(terminals, t.terminal, t.day, world.terminal_days)] = 2
    cards = compromised(stream(seed, "cards"), world.cards, world.days, world.card_rate, world)
    hit = _within(cards, t.card, t.day, world.card_days)
    hit &= stream(seed, "card-share").random(t.amount.size) < CARD_FRAUD_SHARE
    t.scenario[hit] = 3
    t.amount[hit] *= CARD_AMOUNT_FACTOR
    for i, change in enumerate(world.changes):
        if isinstance(change, FraudPattern):
            _night_pattern(world, stream(seed, f"night-{i}"), t, change)


def change_amounts(world: World, t: Transactions) -> np.ndarray:
    """The amounts as the sender writes them, float64 [n], NaN where it sends none."""
    sent = t.amount.copy()
    for change in world.changes:
        if isinstance(change, PriceRise):
            sent[t.day >= change.day] *= change.factor
    sent = np.round(sent, 2)
    for change in world.changes:
        if isinstance(change, BrokenColumn):
            until = world.days if change.until is None else change.until
            broken = (t.day >= change.day) & (t.day < until)
            sent[broken] = {"null": np.nan, "cents": sent[broken] * 100, "stuck": 9.99}[change.mode]
    return sent


def compromised(rng: np.random.Generator, things: int, days: int, rate: float, world: World) -> np.ndarray:
    """Which things fall each day, bool [things x days]; on average `things * rate` of them, in whole numbers."""
    expected = things * rate
    counts = np.floor(expected + rng.random(world.days)).astype(np.int64)
    day = np.repeat(np.arange(days), counts)
    falls = np.zeros((things, days), dtype=bool)
    falls[rng.integers(0, things, day.size), day] = True
    return falls


def _within(falls: np.ndarray, thing: np.ndarray, day: np.ndarray, lasts: int) -> np.ndarray:
    """Whether the thing fell on the day or on one of the `lasts - 1` days before, bool [n]."""
    fallen = np.cumsum(falls, axis=1, dtype=np.int32)
    state = fallen.copy()
    state[:, lasts:] -= fallen[:, :-lasts]
    hit: np.ndarray = state[thing, day] > 0
    return hit


def _night_pattern(world: World, rng: np.random.Generator, t: Transactions, change: FraudPattern) -> None:
    falls = compromised(rng, world.cards, world.days, change.rate, world)
    falls[:, : change.day] = False
    hit = _within(falls, t.card, t.day, change.lasts) & (rng.random(t.amount.size) < change.share)
    n = int(hit.sum())
    t.second[hit] = rng.integers(*NIGHT_SECONDS, n)
    t.terminal[hit] = rng.integers(0, world.terminals, n)
    t.scenario[hit] = 4
