"""Two scorers on a small simulated world, as a case before the gate: nothing but their scores differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sluice.evaluation.metrics import metric
from sluice.gate import Case, Contender, Seal, ServingPath, Verdict, judge
from sluice.gate.selftest.material import CountedOpenings, steady_clock
from sluice.settings import UseCase
from sluice.simulate import World, simulate
from tests.gate.worlds import use_case

WORLD = World(days=27, cards=100, terminals=200, terminal_rate=0.006, card_rate=0.002)
ROWS = 5000
RESAMPLES = 400
OWN = 0.6
"""Noise that a scorer does not share with the other one: models on the same features err alike."""
NOBODY = np.array([], dtype=np.uint64)


def policy(**overlays: object) -> UseCase:
    """The fraud policy on request features alone: these tests are about scores."""
    found = use_case(features__request=[], evaluation__slices=[], gate__parity_rows=20, gate__max_calibration_error=0.5)
    bootstrap = found.evaluation.bootstrap.model_copy(update={"resamples": RESAMPLES})
    found = found.model_copy(update={"evaluation": found.evaluation.model_copy(update={"bootstrap": bootstrap})})
    return found.model_copy(update={"gate": found.gate.model_copy(update=overlays)})


@dataclass(frozen=True)
class Pair:
    """A world's sealed rows, and two scorers that see the label through noise, mostly the same."""

    rows: pl.DataFrame
    one: np.ndarray
    other: np.ndarray

    @property
    def label(self) -> np.ndarray:
        return self.rows["label"].to_numpy()


def pair(seed: int, better: float = 0.0) -> Pair:
    """At most 5,000 rows of a new simulator seed; `better` is the share of its own noise that the first lacks."""
    raw, _ = simulate(WORLD, seed)
    rows = raw.head(ROWS).select(
        pl.col("transaction_id").cast(pl.String).alias("event_id"),
        event_time="time",
        arrival="time",
        card=pl.col("card_id").cast(pl.String),
        terminal=pl.col("terminal_id").cast(pl.String),
        amount=(pl.col("amount") * 100).round().cast(pl.Int64),
        label=pl.col("fraud").cast(pl.Float64),
        label_time="fraud_known_at",
    )
    random = np.random.default_rng(seed)
    shared = 2.5 * rows["label"].to_numpy() + _noise(rows, random)
    return Pair(rows, *(_score(shared + own * _noise(rows, random)) for own in (OWN * (1 - better), OWN)))


def _noise(rows: pl.DataFrame, random: np.random.Generator) -> np.ndarray:
    """Of rows and of terminals, so that rows are not independent."""
    terminal = rows["terminal"].rank("dense").to_numpy().astype(np.int64)
    noise: np.ndarray = 0.8 * random.normal(size=rows.height) + 0.4 * random.normal(size=terminal.max() + 1)[terminal]
    return noise


def _score(seen: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(4.5 - 1.2 * seen))).astype(np.float32)


def swapped(pair: Pair, seed: int) -> Pair:
    """Equals: whose score is whose is a coin's toss per terminal."""
    terminal = pair.rows["terminal"].rank("dense").to_numpy().astype(np.int64)
    coin = np.random.default_rng([seed, 7]).integers(0, 2, terminal.max() + 1).astype(bool)[terminal]
    return Pair(pair.rows, np.where(coin, pair.one, pair.other), np.where(coin, pair.other, pair.one))


def gain(pair: Pair) -> float:
    """Average precision of the first less that of the second."""
    one, other = (metric("average_precision", "binary", pair.label, score) for score in (pair.one, pair.other))
    return one - other


def contender(name: str, rows: pl.DataFrame, score: np.ndarray) -> Contender:
    """A version that gives each row its score of a table."""
    table = rows.select("event_id").with_columns(pl.Series("score", score))

    def look_up(asked: pl.DataFrame) -> np.ndarray:
        found = asked.select("event_id").join(table, on="event_id", how="left", maintain_order="left")
        return found["score"].to_numpy()

    return Contender(name, name, NOBODY, look_up, 1000, graph_digest=name)


def case_of(pair: Pair, settings: UseCase, *, seed: int = 1, champion: bool = True) -> Case:
    """The first scorer as challenger, the second as champion (or as a rung where there is none), over a constant."""
    challenger = contender("challenger", pair.rows, pair.one)
    rival = contender("rival", pair.rows, pair.other)
    constant = contender("constant", pair.rows, np.full(pair.rows.height, 0.02, dtype=np.float32))
    streams = pair.rows.drop("label", "label_time"), pair.rows.sort("label_time", "event_id")
    return Case(
        use_case=settings,
        challenger=challenger,
        ladder=[constant] if champion else [constant, rival],
        champion=rival if champion else None,
        rows=pair.rows,
        seal=Seal.of_rows(pair.rows),
        events=streams[0],
        labels=streams[1],
        views=[],
        serving=ServingPath("challenger", challenger.score),
        openings=CountedOpenings(),
        clock=steady_clock(0.001),
        seed=seed,
    )


def judged(pair: Pair, settings: UseCase, *, seed: int = 1, champion: bool = True) -> Verdict:
    """The verdict on a pair."""
    return judge(case_of(pair, settings, seed=seed, champion=champion))
