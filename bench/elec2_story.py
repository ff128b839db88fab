"""What became of each policy: its figures over the whole replay, and what registry and monitor wrote meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl
from rich.table import Table

from sluice.evaluation.bootstrap import clusters_of, paired_difference
from sluice.evaluation.metrics import metric
from sluice.registry import Decision, Registry
from sluice.settings import UseCase
from sluice.watch.records import ROOT, read_windows

SHOWN = {"average_precision": "AP", "roc_auc": "AUC", "accuracy": "accuracy", "log_loss": "log loss"}
_ACTOR = "gate of run "


@dataclass(frozen=True)
class Training:
    """A training run after the first: when, what the gate decided, which checks said no, and its first sentence."""

    at: datetime
    decision: str
    failed: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Story:
    """A policy's replay.

    Attributes:
        scored: `event_id`, `event_time`, `label`, `score` of the replayed time, in order.
        alerts: instant and reason.
        windows: how many ended with which verdict of the monitor's.
    """

    name: str
    scored: pl.DataFrame
    trainings: list[Training] = field(default_factory=list)
    alerts: list[tuple[datetime, str]] = field(default_factory=list)
    windows: Counter[str] = field(default_factory=Counter)

    @property
    def label(self) -> npt.NDArray[np.float64]:
        """float64 [rows]."""
        return self.scored.get_column("label").cast(pl.Float64).to_numpy()

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """float64 [rows]."""
        return self.scored.get_column("score").cast(pl.Float64).to_numpy()

    @property
    def promoted(self) -> list[datetime]:
        """When a version was promoted, the first champion left out."""
        return [one.at for one in self.trainings if one.decision == "promoted"]

    def weekly(self, name: str) -> Iterator[tuple[datetime, float]]:
        """The first instant of each week, and a metric of the week."""
        for (start,), week in self.scored.group_by_dynamic("event_time", every="7d", start_by="datapoint"):
            label, score = (week.get_column(column).cast(pl.Float64).to_numpy() for column in ("label", "score"))
            assert isinstance(start, datetime)
            yield start, metric(name, "binary", label, score)


def read_story(name: str, registry: Registry, use_case: UseCase, scored: pl.DataFrame) -> Story:
    """The story of a policy as its registry and its monitor tell it."""
    log = registry.log()
    trainings = [_training(registry, one) for one in log if one.actor.startswith(_ACTOR) and one.kind != "opened"]
    alerts = [(datetime.fromisoformat(one.figures["at"]), one.reason) for one in log if one.kind == "alerted"]
    root = f"{ROOT}/{use_case.name}/windows/"
    versions = {key.removeprefix(root).split("/")[0] for key in registry.store.keys(root)}
    windows = [one for version in versions for one in read_windows(registry.store, use_case.name, version)]
    return Story(name, scored, trainings[1:], alerts, Counter(one["verdict"] for one in windows))


def stories_table(stories: Sequence[Story], use_case: UseCase) -> Table:
    """A line a policy; differences are to the first one, with a 95 % interval over whole days."""
    table = Table(title=f"elec2: {stories[0].scored.height:,} half hours answered", title_justify="left")
    for heading in (
        "",
        *SHOWN.values(),
        f"accuracy less {stories[0].name}'s",
        "trained",
        "promoted",
        "refused",
        "alerts",
    ):
        table.add_column(heading, justify="left" if not heading else "right")
    for story in stories:
        figures = [f"{metric(name, 'binary', story.label, story.score):.4f}" for name in SHOWN]
        trained, promoted = len(story.trainings), len(story.promoted)
        counts = [str(n) for n in (trained, promoted, trained - promoted, len(story.alerts))]
        table.add_row(story.name, *figures, _less(story, stories[0], use_case), *counts)
    return table


def what_happened(story: Story) -> Iterator[str]:
    """Sentences: why runs were refused, what the monitor found and told."""
    checks = Counter(name for one in story.trainings for name in one.failed)
    if story.promoted:
        yield f"{story.name}: promoted on {', '.join(f'{at:%Y-%m-%d}' for at in story.promoted)}"
    if checks:
        yield f"{story.name}: refused by {', '.join(f'{name} {count}x' for name, count in checks.most_common())}"
    if story.windows:
        yield f"{story.name}: weeks {', '.join(f'{name} {count}' for name, count in story.windows.most_common())}"
    for at, reason in story.alerts:
        yield f"{story.name}: {at:%Y-%m-%d} {reason}"


def _training(registry: Registry, decision: Decision) -> Training:
    stamp = decision.actor.removeprefix(_ACTOR).split("-")[1]
    verdict = json.loads(registry.evidence(decision, "verdict.json"))
    failed = tuple(dict.fromkeys(_check(one) for one in verdict["checks"] if not one["passed"]))
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return Training(at, decision.kind, failed, decision.reason)


def _check(check: dict[str, object]) -> str:
    """The check's name, for a comparison with the rung's."""
    figures = check["figures"]
    against = figures.get("against") if isinstance(figures, dict) else None
    return str(against or check["name"])


def _less(story: Story, other: Story, use_case: UseCase) -> str:
    if story is other:
        return ""
    settings = use_case.evaluation.bootstrap
    found = paired_difference(
        "accuracy",
        "binary",
        story.label,
        story.score,
        other.score,
        clusters=clusters_of(settings.cluster, story.scored),
        resamples=settings.resamples,
        seed=use_case.seed,
    )
    return f"{found.estimate:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
