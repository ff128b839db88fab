"""Serving, storage and pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import ByteSize, Duration, Section


class Serving(Section):
    """The endpoint."""

    port: int = Field(0, ge=0, le=65535, description="0: any free port.")
    unknown_entity: Literal["score", "refuse"] = "score"
    stale: Literal["score", "refuse"] = "score"
    stale_after: Duration = Field("2d", validate_default=True)
    max_batch: int = Field(1000, ge=1)
    max_body: ByteSize = Field("1MiB", validate_default=True)
    threads: int = Field(1, ge=1, description="ONNX Runtime's threads in one server.")


class Storage(Section):
    """The store: a folder, or s3://bucket/prefix with MinIO or any S3 that knows put-if-absent."""

    url: str = ".sluice/store"
    endpoint: str | None = Field(None, description="http://host:port of MinIO; default: the S3 of the region.")
    region: str = "us-east-1"
    allow_http: bool = False
    keys: str = Field(".sluice/keys", description="Folder with the gate's key pair, outside of the store.")
    model_registry: str | None = Field(None, description="Address of Kubeflow's model registry.")


class Resources(Section):
    """What one kind of step asks for."""

    cpu: str = "1"
    memory: str = "4Gi"
    timeout: Duration = Field("2h", validate_default=True)
    retries: int = Field(2, ge=0)


class GpuPool(Section):
    """The node pool for training."""

    count: int = Field(1, ge=0)
    resource: str = "nvidia.com/gpu"
    node_label: str = "nvidia.com/gpu.product"
    node_value: str = "NVIDIA-GeForce-RTX-2080-Ti"
    toleration: str = "nvidia.com/gpu"


class Pipeline(Section):
    """Images and resources of the compiled pipeline."""

    image: str = "sluice/pipeline-python:0.1.0"
    serving_image: str = "sluice/serving-python:0.1.0"
    steps: Resources = Resources()
    training: Resources = Resources(cpu="4", memory="16Gi")
    gpu: GpuPool = GpuPool()
    parallel_candidates: int = Field(2, ge=1)
    cache: bool = True
