"""Candidates with every hyper-parameter and search range, selection, and the memory budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sluice.settings.base import ByteSize, Section

Scalar = bool | int | float | str | None


class IntRange(Section):
    """A whole number searched from `low` to `high`, both included."""

    type: Literal["int"] = Field(description="Chooses this form.")
    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value.")
    log: bool = Field(False, description="Search on a logarithmic scale.")


class FloatRange(Section):
    """A number searched from `low` to `high`."""

    type: Literal["float"] = Field(description="Chooses this form.")
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    log: bool = Field(False, description="Search on a logarithmic scale.")


class Choice(Section):
    """One of the named values."""

    type: Literal["choice"] = Field(description="Chooses this form.")
    values: list[Scalar] = Field(min_length=1, description="What is tried.")


Range = Annotated[IntRange | FloatRange | Choice, Field(discriminator="type")]


class Search(Section):
    """Optuna over `ranges`, scored on validation. The fixed parameters are always the first trial."""

    trials: int = Field(ge=1, description="How many trainings.")
    timeout_seconds: float | None = Field(None, gt=0, description="No new trial starts after this long.")
    ranges: dict[str, Range] = Field(min_length=1, description="Parameter to range.")
    tasks: int = Field(
        0,
        ge=0,
        description="0: one task, whose trials learn from those before. n: n tasks of the pipeline side by side, whose "
        "trials are drawn by their number alone: the same for any n.",
    )
    task: int | None = Field(None, ge=0, description="Which of the tasks this is; the pipeline sets it.")


class Candidate(Section):
    """One rung of the ladder, simplest first. `kind` is ours, or `import` names a class of yours."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Name of the candidate.")
    kind: Literal["constant", "logistic", "linear", "forest", "trees", "network", "import"] = Field(
        description="What is trained."
    )
    import_: str | None = Field(None, alias="import", description="package.module:Class for kind import.")
    params: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="Hyper-parameters, listed below by kind."
    )
    search: Search | None = None

    model_config = ConfigDict(populate_by_name=True)


class Memory(Section):
    """Memory checked against the card before training."""

    card: ByteSize = Field("11GB", validate_default=True, description="Memory of the card.")
    reserve: float = Field(0.1, ge=0, lt=1, description="Share of the card kept free.")
    over_budget: Literal["ask", "accumulate", "narrow", "host", "gpus"] = Field(
        "ask",
        description="Which way to scale when it does not fit; ask: a question, or a stop without a terminal.",
    )


class Distributed(Section):
    """Several processes for one network, a card each: DistributedDataParallel under torchrun."""

    engine: Literal["none", "torchrun", "trainjob"] = Field(
        "none",
        description="torchrun: on the machine of the training step; trainjob: a TrainJob of Kubeflow Trainer, "
        "a node each.",
    )
    processes: int = Field(2, ge=1, description="How many; part of the result, as the order of sums is.")
    restarts: int = Field(2, ge=0, description="How often all start again from the last checkpoint when one dies.")
    runtime: str = Field("sluice-torch", description="The TrainingRuntime that a TrainJob names.")


class Training(Section):
    """The ladder of candidates and how the challenger is chosen on validation."""

    metric: str = Field(description="Selection metric on validation rows.")
    margin: float = Field(0.0, ge=0, description="The simplest candidate this close to the best is taken.")
    candidates: list[Candidate] = Field(min_length=1)
    memory: Memory = Memory()
    distributed: Distributed = Distributed()
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where networks are trained; auto takes CUDA where it is; trees only with cuda.",
    )
    threads: int = Field(
        1,
        ge=1,
        description="CPU threads of one training; part of the result, as the order of sums is.",
    )


class Int8(Section):
    """The static int8 variant of the graph."""

    enabled: bool = Field(True, description="Make the variant.")
    max_loss: float = Field(0.002, ge=0, description="Largest loss of the selection metric on validation.")
    calibration_rows: int = Field(2000, ge=1, description="Train rows that its scales are read off.")


class Export(Section):
    """The ONNX graph."""

    tolerance: float = Field(1e-5, gt=0, description="Largest difference of graph and trained model.")
    opset: int = Field(17, ge=17, description="Version of ONNX's operators; 17 is the first with a network's norms.")
    int8: Int8 = Int8()
