"""The training pipeline: plan, ingest, features, split, train the candidates, select, gate."""

import json
from typing import Any

from kfp import dsl, kubernetes

from sluice.settings import UseCase
from sluice.settings.operation import Pipeline, Resources
from sluice_components import features, gate, ingest, materialise, plan, select, split, train


def training_pipeline(use_case: UseCase) -> Any:
    """The graph for a use case: the same function for `kfp.local`, the compiler and `sluice submit`.

    Its parameters are `settings` (JSON of the use case file), `run_id`, `sample` (share of the entities) and
    `online_folder` (where an embedded online store lies; a Redis needs none).
    """
    pipeline, written = use_case.pipeline, settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-training", description="Raw events in, gated model out.")
    def graph(settings: str = written, run_id: str = "", sample: float = 1.0, online_folder: str = "") -> None:
        planned = _on(pipeline, plan.plan(settings=settings), cached=False)
        step = planned.outputs
        common = {"code": step["code"]}
        ingested = _on(pipeline, ingest.ingest(settings=step["ingest"], source=step["source"], sample=sample, **common))
        history = ingested.outputs["history"]
        built = _on(pipeline, features.features(settings=step["features"], history=history, **common))
        parts = _on(
            pipeline,
            split.split(settings=step["split"], history=history, rows=built.outputs["rows"], **common),
        ).outputs
        rows = {"train_rows": parts["train"], "validation_rows": parts["validation"]}
        with dsl.ParallelFor(step["candidates"], parallelism=pipeline.parallel_candidates) as candidate:
            trained = train.train(settings=step["train"], candidate=candidate, **rows, **common)
            _on(pipeline, trained, training=True)
        chosen = _on(
            pipeline,
            select.select(
                settings=step["select"],
                models=dsl.Collected(trained.outputs["model"]),
                history=history,
                **rows,
                **common,
            ),
        )
        _on(
            pipeline,
            materialise.materialise(settings=step["features"], folder=online_folder, history=history, **common),
            cached=False,
        )
        _on(
            pipeline,
            gate.gate(
                settings=step["gate"],
                run_id=run_id,
                challenger=chosen.outputs["challenger"],
                train_rows=parts["train"],
                sealed=parts["sealed"],
                history=history,
            ),
            cached=False,
        )

    return graph


def settings_json(use_case: UseCase) -> str:
    """The value of the pipeline's `settings` parameter."""
    return json.dumps(use_case.model_dump(mode="json", by_alias=True), sort_keys=True)


def _on(settings: Pipeline, task: dsl.PipelineTask, *, training: bool = False, cached: bool = True) -> dsl.PipelineTask:
    """Image, resources, node pool, retries, timeout and caching of one step."""
    resources = settings.training if training else settings.steps
    task.set_container_image(settings.image)
    task.set_caching_options(enable_caching=cached and settings.cache)
    _ask_for(task, resources)
    if training and settings.gpu.count:
        task.set_accelerator_type(settings.gpu.resource).set_accelerator_limit(settings.gpu.count)
        kubernetes.add_node_selector(task, settings.gpu.node_label, settings.gpu.node_value)
        kubernetes.add_toleration(task, key=settings.gpu.toleration, operator="Exists", effect="NoSchedule")
    return task


def _ask_for(task: dsl.PipelineTask, resources: Resources) -> None:
    task.set_cpu_request(resources.cpu).set_cpu_limit(resources.cpu)
    task.set_memory_request(resources.memory).set_memory_limit(resources.memory)
    task.set_retry(resources.retries, backoff_duration="10s", backoff_factor=2.0)
    kubernetes.set_timeout(task, seconds=int(resources.timeout.total_seconds()))
