"""The demo's last act: serve the champion and replay the first day that its state does not know."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from sluice.errors import WatchError
from sluice.export.graph import Graph
from sluice.features.historical import feature_rows
from sluice.features.online import OnlineFeatures
from sluice.ingest import Ingested, ingest
from sluice.registry.servable import Servable
from sluice.scoring import score_table
from sluice.settings import UseCase
from sluice.steps import Progress
from sluice.watch.explanations import Explained, explain_rows
from sluice.watch.reference import read_reference
from sluice.watch.sampling import with_scores
from sluice_cli.endpoint import fetch_champion, running
from sluice_cli.people import registry_for
from sluice_serving.replay import Replayed, replay

DAY = timedelta(days=1)
ALERTS = 3
"""Alerts of the day that are explained."""


@dataclass(frozen=True)
class NextDay:
    """What the endpoint answered, and the day's top alerts with their reasons, or why they have none."""

    version: str
    replayed: Replayed
    alerts: list[Explained]
    unexplained: str = ""


def replay_next_day(use_case: UseCase, work: Path, online: Path, progress: Progress) -> NextDay:
    """Serve the champion on a free port, send it the day from `data.end` on, in order, and explain its top alerts.

    The replay works on a copy of the online store: the next demo finds the state as it was.
    """
    champion = fetch_champion(use_case, work)
    servable = champion.servable()
    progress("history", 0, 3, "what the next day looks like in history")
    day, labels, rows = _next_day(servable, use_case)
    progress("history", 1, 3, "the state of the online store")
    state = work / "replay"
    shutil.rmtree(state, ignore_errors=True)
    shutil.copytree(online, state)
    progress("history", 2, 3, "starting the server")
    with running(champion, state, payloads=use_case.payloads.address) as endpoint:
        replayed = replay(
            servable.use_case,
            endpoint.address,
            day,
            labels,
            rows=rows,
            online=OnlineFeatures.open(servable.use_case, state, servable.schema),
            schema=servable.schema,
            graph=Graph(servable.graph),
            progress=progress,
        )
        try:
            return NextDay(champion.digest, replayed, _alerts(servable, use_case, rows, endpoint.address, progress))
        except WatchError as error:
            return NextDay(champion.digest, replayed, [], str(error))


def _alerts(
    servable: Servable, use_case: UseCase, rows: pl.DataFrame, endpoint: str, progress: Progress
) -> list[Explained]:
    """The highest scores of the day, explained by asking the endpoint."""
    reference = read_reference(registry_for(use_case), servable.digest)
    asked = with_scores(rows, score_table(Graph(servable.graph), servable.schema, rows), servable.schema)
    asked = asked.top_k(ALERTS, by="score").sort("score", descending=True)
    return explain_rows(servable, reference, use_case.explanations, asked, endpoint, progress=progress)


def next_day_events(use_case: UseCase) -> pl.DataFrame:
    """The events of the first day that the champion's state does not know."""
    return _known(use_case)[0]


def _next_day(servable: Servable, use_case: UseCase) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """The day's events, the labels that arrive on it, and the offline feature rows of its events."""
    day, labels, known = _known(use_case)
    rows = feature_rows(servable.use_case, known.events, known.labels, questions=day)
    return day, labels, rows


def _known(use_case: UseCase) -> tuple[pl.DataFrame, pl.DataFrame, Ingested]:
    start = use_case.data.end
    assert start is not None
    known = ingest(use_case.until(start + DAY), now=datetime.now(UTC))
    day = known.events.filter(pl.col("event_time") >= start)
    return day, known.labels.filter(pl.col("label_time") >= start), known
