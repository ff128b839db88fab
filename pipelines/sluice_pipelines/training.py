"""The training pipeline: plan, ingest, features, split, train the candidates, select, gate."""

from typing import Any, NamedTuple

from kfp import dsl

from sluice.settings import UseCase, settings_json
from sluice_components import candidates, features, gate, gate_selftest, ingest, materialise, plan, select, split, train
from sluice_pipelines.resources import placed


class Prepared(NamedTuple):
    """The outputs that the last steps take, as the compiler knows them."""

    planned: Any
    history: Any
    parts: Any
    challenger: Any


def training_pipeline(use_case: UseCase) -> Any:
    """The graph for a use case: the same function for `kfp.local`, the compiler and `sluice submit`.

    Its parameters are `settings` (JSON of the use case file), `run_id`, `sample` (share of the entities) and
    `online_folder` (where an embedded online store lies; a Redis needs none).
    """
    written = settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-training", description="Raw events in, gated model out.")
    def graph(settings: str = written, run_id: str = "", sample: float = 1.0, online_folder: str = "") -> None:
        train_and_gate(use_case, settings, run_id, sample, online_folder)

    return graph


def train_and_gate(use_case: UseCase, settings: Any, run_id: Any, sample: Any, online_folder: Any) -> None:
    """The steps of training, within a graph; arguments are those of the graph's parameters."""
    ready = _prepare(use_case, settings, run_id, sample)
    state = materialise.materialise(
        settings=ready.planned["features"],
        folder=online_folder,
        history=ready.history,
        code=ready.planned["code"],
    )
    placed(use_case, state, cached=False)
    judged = gate.gate(
        settings=ready.planned["gate"],
        run_id=ready.planned["run"],
        challenger=ready.challenger,
        train_rows=ready.parts["train"],
        sealed=ready.parts["sealed"],
        history=ready.history,
    )
    placed(use_case, judged, cached=False)


def selftest_pipeline(use_case: UseCase) -> Any:
    """The same steps up to the challenger, then the gate's self-test in the gate's place."""
    written = settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-gate-selftest", description="Does the gate refuse what is broken?")
    def graph(settings: str = written, run_id: str = "", sample: float = 1.0) -> None:
        ready = _prepare(use_case, settings, run_id, sample)
        tested = gate_selftest.gate_selftest(
            settings=ready.planned["gate"],
            challenger=ready.challenger,
            validation_rows=ready.parts["validation"],
            history=ready.history,
        )
        placed(use_case, tested, cached=False)

    return graph


def _side_by_side(use_case: UseCase) -> int:
    """Trainings at a time: as the settings say, and all tasks of a search."""
    tasks = [candidate.search.tasks for candidate in use_case.training.candidates if candidate.search]
    return max(use_case.pipeline.parallel_candidates, *tasks, 1)


def _prepare(use_case: UseCase, settings: Any, run_id: Any, sample: Any) -> Prepared:
    """Everything before the gate."""
    planned = placed(use_case, plan.plan(settings=settings, run_id=run_id), cached=False).outputs
    common = {"code": planned["code"]}
    read = ingest.ingest(settings=planned["ingest"], source=planned["source"], sample=sample, **common)
    history = placed(use_case, read).outputs["history"]
    built = placed(use_case, features.features(settings=planned["features"], history=history, **common))
    laid = split.split(settings=planned["split"], history=history, rows=built.outputs["rows"], **common)
    parts = placed(use_case, laid).outputs
    rows = {"train_rows": parts["train"], "validation_rows": parts["validation"]}
    items = placed(use_case, candidates.candidates(settings=planned["train"], **common))
    with dsl.ParallelFor(items.output, parallelism=_side_by_side(use_case)) as item:
        trained = train.train(settings=item.settings, candidate=item.id, code=item.code, **rows)
        placed(use_case, trained, training=True)
    chosen = select.select(settings=planned["select"], models=dsl.Collected(trained.outputs["model"]), **rows, **common)
    return Prepared(planned, history, parts, placed(use_case, chosen).outputs["challenger"])
