"""The replay of one policy: a week is answered and written into the ledger, then what the policy asks for is done.

The champion's own graph answers in this process, with the features of history: a server process would give the same
scores (the gate checks that of each version) and take minutes of the replay. Everything after the answers is the
product's own: ledger, monitor, rules, training steps, gate, registry.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from elec2_training import now

from sluice.export.graph import Graph
from sluice.features.schema import to_matrix
from sluice.ledger.layout import partition_of
from sluice.ledger.tables import FEATURES, RESPONSES, encode
from sluice.registry import Registry, open_registry
from sluice.registry.servable import Servable, load_champion
from sluice.settings import UseCase
from sluice.watch.acting import act
from sluice.watch.monitor import watch
from sluice.watch.records import Span

Train = Callable[[UseCase, str, Path], str]
"""Use case whose data end at the run's instant, the run's name, work folder: to what the gate decided."""
SOURCE = "replay"


@dataclass(frozen=True)
class Policy:
    """When a training run starts: never, after each week, or when the monitor's rules say so. `overlays`: settings."""

    name: str
    retrains: Literal["never", "weekly", "rules"]
    overlays: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its folder in the work folder."""
        return self.name.replace(", ", "-").replace(" ", "-")


POLICIES = (
    Policy("never", "never"),
    Policy("rules, told", "rules", ("bench/elec2_known.yaml",)),
    Policy("rules", "rules"),
    Policy("weekly", "weekly"),
)


@dataclass(frozen=True)
class Replay:
    """A policy at work.

    Attributes:
        use_case: its store lies in `place`.
        rows: of the replayed time: `event_id`, `event_time`, features, `label`.
    """

    policy: Policy
    use_case: UseCase
    place: Path
    rows: pl.DataFrame
    train: Train

    @property
    def registry(self) -> Registry:
        """Of the policy's own store."""
        return open_registry(self.use_case, clock=now, actor="monitor")

    def live(self, week: Span) -> None:
        """Answer a week, unless that was done before, and do what follows from it, unless that was."""
        begun, over = self._answers(week), self._answers(week).with_suffix(".over")
        if not begun.exists():
            self.place.joinpath("answers").mkdir(parents=True, exist_ok=True)
            self._answer(week).write_parquet(begun)
        if not over.exists():
            self._follow(week.end + self.use_case.watch.settle)
            over.touch()

    def answered(self, weeks: list[Span]) -> pl.DataFrame:
        """`event_id`, `event_time`, `label`, `score`, `version` of those weeks that were answered."""
        return pl.concat([pl.read_parquet(self._answers(week)) for week in weeks if self._answers(week).exists()])

    def _answers(self, week: Span) -> Path:
        return self.place / "answers" / f"{week.start:%Y%m%d}.parquet"

    def _answer(self, week: Span) -> pl.DataFrame:
        registry = self.registry
        with tempfile.TemporaryDirectory(prefix="elec2-") as folder:
            champion = load_champion(registry, Path(folder) / "version")
        # The week before is looked at when it has settled: from then on a version that it brought answers.
        time, settle = pl.col("event_time"), self.use_case.watch.settle
        rows = self.rows.filter((time >= week.start + settle) & (time < week.end + settle))
        matrix = to_matrix(champion.schema, rows)
        score = Graph(champion.graph).score(matrix)
        record_answers(registry, champion, rows, matrix, score)
        kept = rows.select("event_id", "event_time", pl.col("label").cast(pl.Float64))
        return kept.with_columns(score=pl.Series(score), version=pl.lit(champion.digest))

    def _follow(self, at: datetime) -> None:
        if self.policy.retrains == "never":
            return
        run: str | None = f"weekly-{at:%Y%m%dT%H%M%S}"
        if self.policy.retrains == "rules":
            registry = self.registry
            watch(registry, self.use_case, at=at, now=now())
            run = act(registry, self.use_case, at=at).run
        if run is not None:
            self.train(self.use_case.until(at), run, self.place)


def begin(first: Path, place: Path) -> None:
    """A store and keys of a policy's own, in which the first champion is live."""
    if place.exists():
        return
    half = place.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(first, half).rename(place)


def record_answers(
    registry: Registry, champion: Servable, rows: pl.DataFrame, matrix: np.ndarray, score: np.ndarray
) -> None:
    """Answers into the ledger as the receiver writes them: a file a day, given at the events' own times."""
    features = pl.DataFrame(matrix, schema=list(champion.schema.names)).select(pl.all().fill_nan(None))
    table = rows.select(
        pl.lit(SOURCE).alias("source"),
        pl.col("event_id").alias("id"),
        pl.col("event_time").alias("time"),
        pl.lit(0, pl.Int32).alias("row"),
        "event_id",
        pl.Series("score", score, dtype=pl.Float32),
        pl.lit(champion.digest).alias("version"),
        features.to_struct(FEATURES),
    )
    table = pl.concat([RESPONSES.to_frame(), table], how="diagonal")
    for day in (part for _, part in table.group_by(pl.col("time").dt.date(), maintain_order=True)):
        when = day.get_column("time")[0]
        prefix = partition_of(champion.model, "responses", champion.digest, when).prefix
        registry.store.put(f"{prefix}/{SOURCE}.parquet", encode(day))
