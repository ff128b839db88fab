"""The training pipeline: plan, ingest, features, split, train the candidates, select, gate."""

import json
from typing import Any, NamedTuple

from kfp import dsl

from sluice.settings import UseCase
from sluice.settings.operation import Pipeline
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
    pipeline, written = use_case.pipeline, settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-training", description="Raw events in, gated model out.")
    def graph(settings: str = written, run_id: str = "", sample: float = 1.0, online_folder: str = "") -> None:
        ready = _prepare(pipeline, settings, run_id, sample)
        state = materialise.materialise(
            settings=ready.planned["features"],
            folder=online_folder,
            history=ready.history,
            code=ready.planned["code"],
        )
        placed(pipeline, state, cached=False)
        judged = gate.gate(
            settings=ready.planned["gate"],
            run_id=ready.planned["run"],
            challenger=ready.challenger,
            train_rows=ready.parts["train"],
            sealed=ready.parts["sealed"],
            history=ready.history,
        )
        placed(pipeline, judged, cached=False)

    return graph


def selftest_pipeline(use_case: UseCase) -> Any:
    """The same steps up to the challenger, then the gate's self-test in the gate's place."""
    pipeline, written = use_case.pipeline, settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-gate-selftest", description="Does the gate refuse what is broken?")
    def graph(settings: str = written, run_id: str = "", sample: float = 1.0) -> None:
        ready = _prepare(pipeline, settings, run_id, sample)
        tested = gate_selftest.gate_selftest(
            settings=ready.planned["gate"],
            challenger=ready.challenger,
            validation_rows=ready.parts["validation"],
            history=ready.history,
        )
        placed(pipeline, tested, cached=False)

    return graph


def settings_json(use_case: UseCase) -> str:
    """The value of the pipeline's `settings` parameter."""
    return json.dumps(use_case.model_dump(mode="json", by_alias=True), sort_keys=True)


def _prepare(pipeline: Pipeline, settings: Any, run_id: Any, sample: Any) -> Prepared:
    """Everything before the gate."""
    planned = placed(pipeline, plan.plan(settings=settings, run_id=run_id), cached=False).outputs
    common = {"code": planned["code"]}
    read = ingest.ingest(settings=planned["ingest"], source=planned["source"], sample=sample, **common)
    history = placed(pipeline, read).outputs["history"]
    built = placed(pipeline, features.features(settings=planned["features"], history=history, **common))
    laid = split.split(settings=planned["split"], history=history, rows=built.outputs["rows"], **common)
    parts = placed(pipeline, laid).outputs
    rows = {"train_rows": parts["train"], "validation_rows": parts["validation"]}
    items = placed(pipeline, candidates.candidates(settings=planned["train"], **common))
    with dsl.ParallelFor(items.output, parallelism=pipeline.parallel_candidates) as item:
        trained = train.train(settings=item.settings, candidate=item.id, code=item.code, **rows)
        placed(pipeline, trained, training=True)
    chosen = select.select(
        settings=planned["select"], models=dsl.Collected(trained.outputs["model"]), history=history, **rows, **common
    )
    return Prepared(planned, history, parts, placed(pipeline, chosen).outputs["challenger"])
