"""Serving, storage and pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import ByteSize, Duration, Section


class Serving(Section):
    """The endpoint."""

    port: int = Field(0, ge=0, le=65535, description="0: any free port.")
    unknown_entity: Literal["score", "refuse"] = Field(
        "score", description="Score and mark, or refuse, an entity that state does not know."
    )
    stale: Literal["score", "refuse"] = Field("score", description="Score and mark, or refuse, on stale state.")
    stale_after: Duration = Field(
        "2d", validate_default=True, description="State is stale when its updater is behind by more."
    )
    max_batch: int = Field(1000, ge=1, description="Rows in one request.")
    max_body: ByteSize = Field("1MiB", validate_default=True, description="Largest request.")
    threads: int = Field(1, ge=1, description="ONNX Runtime's threads in one server.")
    answer_within: Duration = Field(
        "5s",
        validate_default=True,
        description="A request that takes longer counts as failed (504) in the server's metrics, answered or not; as "
        "long as the gateway waits (rollout.cluster.request_timeout).",
    )
    linger: Duration = Field(
        "3s",
        validate_default=True,
        description="After SIGTERM a server on a cluster is not ready but answers for this long.",
    )


class Storage(Section):
    """The store: a folder, or s3://bucket/prefix with MinIO or any S3 that knows put-if-absent."""

    url: str = Field(".sluice/store", description="A folder, or s3://bucket/prefix.")
    endpoint: str | None = Field(None, description="http://host:port of MinIO; default: the S3 of the region.")
    region: str = Field("us-east-1", description="Region of S3.")
    allow_http: bool = Field(False, description="Allow an endpoint without TLS.")
    ca: str | None = Field(
        None,
        description="PEM file of the authority that signed the endpoint's certificate; default: the machine's own.",
    )
    lock: Duration | None = Field(
        "365d",
        validate_default=True,
        description="A bucket with object lock refuses for this long to remove a decision; null: no lock is asked for.",
    )
    keys: str = Field(".sluice/keys", description="Folder with the gate's key pair, outside of the store.")
    model_registry: str | None = Field(None, description="Address of Kubeflow's model registry.")


class Resources(Section):
    """What one kind of step asks for."""

    cpu: str = Field("1", description="CPU asked for.")
    cpu_limit: str | None = Field(None, description="CPU that it may use where some is idle; null: what it asks for.")
    memory: str = Field("4Gi", description="Memory asked for.")
    timeout: Duration = Field("2h", validate_default=True, description="The step is ended after this long.")
    retries: int = Field(2, ge=0, description="How often a step is tried again.")

    @property
    def cpu_at_most(self) -> str:
        """The limit of its CPU."""
        return self.cpu_limit or self.cpu


class TrainingResources(Resources):
    """What a training step asks for."""

    cpu: str = Field("4", description="CPU asked for.")
    memory: str = Field("16Gi", description="Memory asked for.")


class GpuPool(Section):
    """The node pool for training."""

    count: int = Field(1, ge=0, description="Cards a training step; 0: none.")
    resource: str = Field("nvidia.com/gpu", description="Name of the card's resource.")
    node_label: str = Field("nvidia.com/gpu.product", description="Label that names the pool.")
    node_value: str = Field("NVIDIA-GeForce-RTX-2080-Ti", description="Its value.")
    toleration: str = Field("nvidia.com/gpu", description="Key of the pool's taint.")


class Pipeline(Section):
    """Images and resources of the compiled pipeline."""

    image: str = Field("sluice/pipeline-python:0.1.0", description="Image of the steps, tag or digest.")
    serving_image: str = Field("sluice/serving-python:0.1.0", description="Image of the model server.")
    alibi_image: str = Field(
        "sluice/alibi-python:0.1.0", description="Image of the steps that detect drift and explain scores."
    )
    steps: Resources = Resources()
    training: TrainingResources = TrainingResources()
    gpu: GpuPool = GpuPool()
    parallel_candidates: int = Field(2, ge=1, description="Trainings at a time.")
    cache: bool = Field(True, description="Reuse steps that have not changed.")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        "IfNotPresent", description="When a node fetches the image."
    )
    user: int = Field(65532, ge=1, description="Numeric user and group of the steps; never root.")
    scratch: str = Field("8Gi", description="Room in each of /tmp and /var/lib/sluice; nothing else can be written.")
    service_account: str | None = Field(
        None, description="Account that the steps of a submitted run have; null: Kubeflow's own for the namespace."
    )
    store_secrets: str | None = Field(
        None,
        description="Secrets with the keys of the store's roles begin so: `sluice-store` stands for "
        "`sluice-store-preparer`, `-trainer`, `-gate`, `-monitor` and `-keeper`. null: steps use what their "
        "ServiceAccount has.",
    )
    gate_key: str | None = Field(
        None, description="Secret with gate.key and gate.pub; steps that decide have it, in the folder storage.keys."
    )
    public_keys: str | None = Field(
        None, description="ConfigMap with gate.pub; batch scoring and monitoring have it, in the folder storage.keys."
    )
    store_ca: str | None = Field(
        None, description="ConfigMap with the file storage.ca; every step has it in that folder."
    )
    pseudonym_secret: str | None = Field(
        None, description="Secret with the file data.pseudonym_key, for the steps that read raw events."
    )
    redis_secret: str | None = Field(None, description="Secret whose `password` the online store's Redis asks for.")
