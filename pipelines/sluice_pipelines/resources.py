"""Image, resources, node pool, retries, timeout and caching of a pipeline's steps."""

from kfp import dsl, kubernetes

from sluice.settings.operation import Pipeline, Resources


def placed(
    settings: Pipeline, task: dsl.PipelineTask, *, training: bool = False, cached: bool = True
) -> dsl.PipelineTask:
    """A step where the settings want it; training steps on the GPU pool."""
    task.set_container_image(settings.image)
    task.set_caching_options(enable_caching=cached and settings.cache)
    _ask_for(task, settings.training if training else settings.steps)
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
