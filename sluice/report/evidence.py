"""All that a report and a model card may say, as the run's own documents; nothing else is looked up or made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from sluice.errors import DataError
from sluice.evaluation.evaluate import evaluate
from sluice.settings import UseCase

CHALLENGER, CHAMPION, RUNG = "challenger", "champion", "rung "
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """The documents of one gate run.

    Attributes:
        verdict: `gate.Verdict.document()`.
        decision: what the log says: promoted, refused, awaiting-approval, …
        evaluations: `evaluate` documents on the sealed rows by contender: `challenger`, `champion`,
            `rung <candidate>`, simplest rung first; empty when the seal stayed closed (`evaluations_of` makes them).
        candidates: the candidates' candidate.json documents, simplest first.
        chosen: id of the challenger's candidate.
        split: `Split.summary()`.
        schema: `FeatureSchema.document()` of the challenger.
        drift: `feature_drift` of train (reference) and sealed rows (current).
        ingest: counts of the ingest step, by what was counted.
        version: digest of the challenger's version.
        digests: further digests by name: data, code, seal, graph, settings …
        run: name of the run; `written`: when, both shown in the foot only.
    """

    use_case: UseCase
    verdict: Document
    decision: str
    evaluations: Mapping[str, Document]
    candidates: Sequence[Document]
    chosen: str
    split: Document
    schema: Document
    drift: Sequence[Document]
    ingest: Mapping[str, Any]
    version: str
    digests: Mapping[str, str | None] = field(default_factory=dict)
    run: str = ""
    written: datetime | None = None

    @property
    def challenger(self) -> Document | None:
        """The challenger's evaluation, None when the seal stayed closed."""
        return self.evaluations.get(CHALLENGER)

    @property
    def rival(self) -> str | None:
        """Whom the challenger is drawn against: the champion, else the highest rung below it."""
        return _rival(list(self.evaluations))


def evaluations_of(
    use_case: UseCase,
    rows: pl.DataFrame,
    scores: pl.DataFrame | None,
    *,
    thresholds: Mapping[str, float | None],
    seed: int,
    labels: pl.DataFrame | None = None,
) -> dict[str, dict[str, Any]]:
    """Evaluation documents of everybody whose scores the gate stored.

    The challenger and its rival (the champion, else the highest rung) are looked at by slice and by day too.

    Args:
        rows: sealed labelled rows, any order.
        scores: `Verdict.scores`: event_id, label and a column a contender (`<contender> <class>` for classes);
            None: the seal stayed closed, there is nothing to evaluate.
        thresholds: by contender; missing: 0.5.
        labels: the label stream from the start of training, for card precision.

    Raises:
        DataError: a score has no row.
    """
    if scores is None:
        return {}
    joined = scores.select("event_id").join(rows, on="event_id", how="inner", maintain_order="left")
    if joined.height != scores.height:
        raise DataError(
            f"{scores.height - joined.height} of {scores.height} sealed scores have no sealed row",
            "the scores belong to another seal: run the gate step again",
        )
    label, columns = scores.get_column("label").to_numpy(), score_columns(use_case, scores)
    duel = {CHALLENGER, _rival(list(columns))}
    return {
        name: evaluate(
            use_case, joined, label, score, threshold=thresholds.get(name), seed=seed, labels=labels,
            parts=name in duel,
        )
        for name, score in columns.items()
    }  # fmt: skip


def score_columns(use_case: UseCase, scores: pl.DataFrame) -> dict[str, np.ndarray]:
    """Each contender's scores, [n] or [n x classes], challenger first, then the champion, then the rungs."""
    names = [name for name in scores.columns if name not in ("event_id", "label")]
    if use_case.task == "multiclass":
        names = list(dict.fromkeys(name.rsplit(" ", 1)[0] for name in names))
        classes = range(len(use_case.data.labels.classes))
        found = {name: scores.select(f"{name} {i}" for i in classes).to_numpy() for name in names}
    else:
        found = {name: scores.get_column(name).to_numpy() for name in names}
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def _rival(names: Sequence[str]) -> str | None:
    others = [name for name in names if name != CHALLENGER]
    return CHAMPION if CHAMPION in others else (others[-1] if others else None)


def _rank(name: str) -> int:
    return {CHALLENGER: 0, CHAMPION: 1}.get(name, 2)
