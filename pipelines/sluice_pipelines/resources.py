"""Image, resources, node pool, retries, timeout and caching of a pipeline's steps."""

from kfp import dsl, kubernetes

from sluice.settings import UseCase
from sluice.settings.operation import Pipeline, Resources
from sluice_pipelines.rights import confined, entitled


def placed(
    use_case: UseCase,
    task: dsl.PipelineTask,
    *,
    training: bool = False,
    cached: bool = True,
    image: str | None = None,
) -> dsl.PipelineTask:
    """A step where the settings want it, with the rights of its name; training steps on the GPU pool.

    Args:
        image: default: the pipeline's.
    """
    settings = use_case.pipeline
    task.set_container_image(image or settings.image)
    task.set_caching_options(enable_caching=cached and settings.cache)
    _ask_for(task, settings.training if training else settings.steps)
    confined(settings, task)
    entitled(use_case, task)
    distributed = use_case.training.distributed
    # A step that makes a TrainJob holds no card while it waits.
    if training and settings.gpu.count and distributed.engine != "trainjob":
        processes = distributed.processes if distributed.engine == "torchrun" else 1
        _on_the_pool(settings, task, max(settings.gpu.count, processes))
    return task


def _on_the_pool(settings: Pipeline, task: dsl.PipelineTask, cards: int) -> None:
    task.set_accelerator_type(settings.gpu.resource).set_accelerator_limit(cards)
    kubernetes.add_node_selector(task, settings.gpu.node_label, settings.gpu.node_value)
    kubernetes.add_toleration(task, key=settings.gpu.toleration, operator="Exists", effect="NoSchedule")


def _ask_for(task: dsl.PipelineTask, resources: Resources) -> None:
    task.set_cpu_request(resources.cpu).set_cpu_limit(resources.cpu_at_most)
    task.set_memory_request(resources.memory).set_memory_limit(resources.memory)
    task.set_retry(resources.retries, backoff_duration="10s", backoff_factor=2.0)
    kubernetes.set_timeout(task, seconds=int(resources.timeout.total_seconds()))
