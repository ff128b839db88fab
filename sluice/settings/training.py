"""Candidates with every hyper-parameter and search range, selection, and the memory budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from sluice.settings.base import ByteSize, Section

Scalar = bool | int | float | str | None


class IntRange(Section):
    """A whole number searched from `low` to `high`, both included."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False


class FloatRange(Section):
    """A number searched from `low` to `high`."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False


class Choice(Section):
    """One of the named values."""

    type: Literal["choice"]
    values: list[Scalar] = Field(min_length=1)


Range = Annotated[IntRange | FloatRange | Choice, Field(discriminator="type")]


class Search(Section):
    """Optuna over `ranges`, scored on validation. The fixed parameters are always the first trial."""

    trials: int = Field(ge=1)
    timeout_seconds: float | None = Field(None, gt=0)
    ranges: dict[str, Range] = Field(min_length=1)


class Candidate(Section):
    """One rung of the ladder, simplest first. `kind` is ours, or `import` names a class of yours."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    kind: Literal["constant", "logistic", "linear", "forest", "trees", "network", "import"]
    import_: str | None = Field(None, alias="import", description="package.module:Class for kind import.")
    params: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    search: Search | None = None

    model_config = ConfigDict(populate_by_name=True)


class Memory(Section):
    """Memory checked against the card before training."""

    card: ByteSize = Field("11GB", validate_default=True)
    reserve: float = Field(0.1, ge=0, lt=1, description="Share of the card kept free.")
    over_budget: Literal["ask", "accumulate", "narrow", "host", "gpus"] = Field(
        "ask",
        description="Which way to scale when it does not fit; ask: a question, or a stop without a terminal.",
    )


class Training(Section):
    """The ladder of candidates and how the challenger is chosen on validation."""

    metric: str = Field(description="Selection metric on validation rows.")
    margin: float = Field(0.0, ge=0, description="The simplest candidate this close to the best is taken.")
    candidates: list[Candidate] = Field(min_length=1)
    memory: Memory = Memory()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(
        1,
        ge=1,
        description="CPU threads of one training; part of the result, as the order of sums is.",
    )


class Int8(Section):
    """The static int8 variant of the graph."""

    enabled: bool = True
    max_loss: float = Field(0.002, ge=0, description="Largest loss of the selection metric on validation.")
    calibration_rows: int = Field(2000, ge=1)


class Export(Section):
    """The ONNX graph."""

    tolerance: float = Field(1e-5, gt=0, description="Largest difference of graph and trained model.")
    opset: int = Field(17, ge=13)
    int8: Int8 = Int8()
