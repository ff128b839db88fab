"""Who pays how much where and when: profiles and genuine transactions, as arrays."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from sluice.simulate.world import World

PLANE = 100.0
DAY_SECONDS = 86_400
NOON, SPREAD = 43_200.0, 20_000.0


@dataclass
class Transactions:
    """Columns of one length [n], in no order. `second` counts within the day; amounts are not yet rounded."""

    card: np.ndarray
    terminal: np.ndarray
    day: np.ndarray
    second: np.ndarray
    amount: np.ndarray
    scenario: np.ndarray


def stream(seed: int, name: str) -> np.random.Generator:
    """Randomness of one part of the world: a change in one part leaves the draws of the others as they were."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def genuine_transactions(world: World, seed: int) -> Transactions:
    """All transactions before any fraud."""
    profiles = stream(seed, "profiles")
    places = profiles.uniform(0, PLANE, (world.cards, 2))
    mean_amount = profiles.uniform(5, 100, world.cards)
    rate = profiles.uniform(0, 4, world.cards)
    terminals = profiles.uniform(0, PLANE, (world.terminals, 2))

    rng = stream(seed, "transactions")
    counts = rng.poisson(rate[:, None], (world.cards, world.days))
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    second = rng.normal(NOON, SPREAD, cell.size).astype(np.int64)
    in_day = (second > 0) & (second < DAY_SECONDS)
    cell, second = cell[in_day], second[in_day]
    card, day = cell // world.days, cell % world.days
    amount = rng.normal(mean_amount[card], mean_amount[card] / 2)
    amount = np.where(amount < 0, rng.uniform(0, 2 * mean_amount[card]), amount)
    first, reach, near = _terminals_in_reach(places, terminals, world.radius)
    terminal = near[first[card] + (rng.random(card.size) * reach[card]).astype(np.int64)]
    return Transactions(card, terminal, day, second, np.round(amount, 2), np.zeros(card.size, dtype=np.int8))


def _terminals_in_reach(
    places: np.ndarray, terminals: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per card where its terminals start and how many there are, and the terminals of all cards one after another."""
    chunks, counts = [], []
    for block in np.array_split(places.astype(np.float32), max(1, len(places) // 250)):
        x = block[:, None, 0] - terminals[None, :, 0].astype(np.float32)
        y = block[:, None, 1] - terminals[None, :, 1].astype(np.float32)
        distance = x * x + y * y
        near = distance < radius * radius
        near[np.arange(len(block)), distance.argmin(axis=1)] = True
        counts.append(near.sum(axis=1))
        chunks.append(near.nonzero()[1])
    count = np.concatenate(counts)
    return np.cumsum(count) - count, count, np.concatenate(chunks)
