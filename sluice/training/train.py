"""Train one candidate of a use case and write all that later steps need of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from sluice import digests
from sluice.export.graph import Graph
from sluice.export.int8 import microseconds, products, quantised
from sluice.export.parity import check_parity
from sluice.export.writer import canonical
from sluice.features.schema import FeatureSchema
from sluice.settings import UseCase
from sluice.settings.training import Candidate, Int8
from sluice.steps import Progress, silent
from sluice.storage import Store
from sluice.training.asking import terminal_ask
from sluice.training.candidates import read_params
from sluice.training.checkpoints import Checkpoints, code_digest
from sluice.training.files import GRAPH, INT8_GRAPH, validation_scores, write_candidate, write_without_model
from sluice.training.group import ALONE, Group
from sluice.training.kinds import fit_kind
from sluice.training.matrices import problem_digest, problem_of
from sluice.training.memory import Ask
from sluice.training.problem import Fit, Problem
from sluice.training.search import Chosen, search

_WITH_PRODUCTS = ("network", "import")
"""Kinds whose work is products of matrices: a linear model's single one is not worth a second graph."""


@dataclass(frozen=True)
class Trained:
    """A candidate after training; `sluice.training.files` names what its folder holds.

    Attributes:
        metric: the selection metric on validation, of the exported graph's scores.
        document: what candidate.json holds; `run` in it belongs to this run alone.
    """

    id: str
    kind: str
    folder: Path
    metric: float
    document: dict[str, Any]


def train_candidate(
    candidate: Candidate,
    use_case: UseCase,
    schema: FeatureSchema,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    folder: Path,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    ask: Ask | None = None,
) -> Trained:
    """Search, train, export and check one candidate in this process.

    Args:
        train, validation: labelled rows; nothing but these is looked at.
        folder: receives the files of `sluice.training.files`.
        store: keeps checkpoints, so that a killed training goes on; None: it starts anew.
        ask: which way to scale a training that does not fit the card; default: a question where there is a terminal.

    Raises:
        SettingsError: the candidate's parameters.
        MemoryPlanError: the training would not fit the card.
        MoreProcessesError: it takes several cards, and this process is alone.
        TrainingError: it cannot be trained on these rows.
        ExportError: the graph does not score like the trained model.
    """
    arguments = (candidate, use_case, schema, train, validation, folder, ALONE)
    trained = train_together(*arguments, store=store, progress=progress, ask=ask)
    assert trained is not None
    return trained


def train_together(
    candidate: Candidate,
    use_case: UseCase,
    schema: FeatureSchema,
    train: pl.DataFrame,
    validation: pl.DataFrame,
    folder: Path,
    group: Group,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    ask: Ask | None = None,
) -> Trained | None:
    """`train_candidate` as one process of `group`, each of which is given the same; all but the first return None."""
    telling = progress or silent if group.rank == 0 else silent
    ask = ask or terminal_ask()
    problem = problem_of(use_case, schema, train, validation, progress=telling, ask=ask, group=group)
    course = _Course(candidate, problem, store)
    started = time.monotonic()
    chosen = search(
        candidate,
        course.train,
        better=problem.better,
        higher=problem.higher,
        seed=use_case.seed,
        clock=lambda: group.agree(time.monotonic),
    )
    if group.rank:
        return None
    if chosen.fit is None:
        # This task's trials all failed; another has the fixed parameters' model.
        document = {"format": 1, "id": candidate.id, "search": chosen.trials}
        write_without_model(folder, document)
        return Trained(candidate.id, candidate.kind, folder, math.nan, document)
    trained = _told(candidate, use_case, problem, course, chosen, time.monotonic() - started)
    ids = train.get_column("event_id").to_list()
    write_candidate(folder, trained.graphs, trained.document, ids, validation_scores(validation, trained.scores))
    course.clear()
    return Trained(candidate.id, candidate.kind, folder, trained.document["metric"]["validation"], trained.document)


@dataclass(frozen=True)
class _Outcome:
    document: dict[str, Any]
    graphs: dict[str, bytes]
    scores: np.ndarray


def _told(
    candidate: Candidate,
    use_case: UseCase,
    problem: Problem,
    course: _Course,
    chosen: Chosen,
    seconds: float,
) -> _Outcome:
    assert chosen.fit is not None
    graphs, scores, checks, speed = _export(chosen.fit, problem, use_case, candidate)
    params = read_params(candidate, chosen.params)
    document: dict[str, Any] = {
        "format": 1,
        "id": candidate.id,
        "kind": candidate.kind,
        "import": candidate.import_,
        "task": use_case.task,
        "params": params if isinstance(params, dict) else params.model_dump(mode="json"),
        "search": chosen.trials,
        "seed": use_case.seed,
        "rows": {"train": len(problem.x), "validation": len(problem.x_validation)},
        "metric": {"name": use_case.training.metric, "validation": problem.measure(scores)},
        "curves": chosen.fit.curves,
        "notes": chosen.fit.notes,
        "memory": chosen.fit.plan,
        **checks,
        "run": {"seconds": seconds, "rows_per_second": course.rows_seen / seconds, "speed": speed, **chosen.fit.run},
    }
    return _Outcome(document, graphs, scores)


class _Course:
    """The trainings of one candidate: one, or a search's trials, each with checkpoints of its own."""

    def __init__(self, candidate: Candidate, problem: Problem, store: Store | None) -> None:
        self._candidate, self._problem, self._store = candidate, problem, store
        self._data = problem_digest(problem)
        self._kept: list[Checkpoints] = []
        self.rows_seen = 0

    def train(self, given: dict[str, Any]) -> tuple[Fit, float]:
        """One training with these parameters, and its validation metric."""
        params = read_params(self._candidate, given)
        problem = self._problem
        if self._store is not None:
            settings = params if isinstance(params, dict) else params.model_dump(mode="json")
            name = digests.of_json([self._data, code_digest(), self._candidate.kind, settings])
            self._kept.append(Checkpoints(self._store, name))
            problem = replace(problem, checkpoints=self._kept[-1])
        fit = fit_kind(problem, params, self._candidate.import_)
        self.rows_seen += fit.rows_seen
        return fit, problem.group.agree(lambda: problem.measure(fit.model.score(problem.x_validation)))

    def clear(self) -> None:
        """Remove the checkpoints: the candidate is written."""
        for checkpoints in self._kept:
            checkpoints.clear()


def _export(
    fit: Fit, problem: Problem, use_case: UseCase, candidate: Candidate
) -> tuple[dict[str, bytes], np.ndarray, dict[str, Any], dict[str, Any]]:
    """Graphs by file name, the graph's validation scores, checks (part of the result), speeds (this run's)."""
    settings, rows = use_case.export, problem.x_validation
    graph = canonical(fit.model.to_onnx())
    scores = Graph(graph).score(rows)
    difference = check_parity(scores, fit.model.score(rows), settings.tolerance, f"candidate {candidate.id}")
    parity = {"largest_difference": difference, "tolerance": settings.tolerance}
    if not settings.int8.enabled or candidate.kind not in _WITH_PRODUCTS or not products(graph):
        return {GRAPH: graph}, scores, {"parity": parity, "int8": None}, {}
    small = quantised(graph, calibration_rows(problem, settings.int8))
    figures = _int8_figures(small, scores, problem, settings.int8)
    speed = {"fp32": microseconds(graph, rows), "int8": microseconds(small, rows)}
    graphs = {GRAPH: graph, INT8_GRAPH: small} if figures["kept"] else {GRAPH: graph}
    return graphs, scores, {"parity": parity, "int8": figures}, speed


def _int8_figures(graph: bytes, scores: np.ndarray, problem: Problem, settings: Int8) -> dict[str, Any]:
    int8_scores = Graph(graph).score(problem.x_validation)
    before, after = problem.measure(scores), problem.measure(int8_scores)
    loss = before - after if problem.higher else after - before
    difference = float(np.abs(int8_scores - scores).max())
    return {"validation": after, "loss": loss, "largest_difference": difference, "kept": loss <= settings.max_loss}


def calibration_rows(problem: Problem, settings: Int8) -> np.ndarray:
    """Train rows drawn with the seed, float32 [at most calibration_rows, d]."""
    count = min(settings.calibration_rows, len(problem.x))
    return problem.x[np.random.default_rng(problem.seed).choice(len(problem.x), count, replace=False)]
