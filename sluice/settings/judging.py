"""Evaluation and gate policy: what is measured, and what a challenger must show."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import ByteSize, Section


class Threshold(Section):
    """Which score counts as positive. Chosen on validation."""

    by: Literal["f1", "precision", "recall", "fixed"] = Field("f1", description="What the threshold is chosen for.")
    value: float | None = Field(None, ge=0, le=1, description="The target precision or recall, or the score.")


class CardPrecision(Section):
    """CP@k: of the k highest-scored entities a day that are not yet known as positive, the share that is."""

    k: int = Field(100, ge=1, description="Entities looked at a day.")
    entity: str = Field(description="Whose precision it is.")


class Bootstrap(Section):
    """Intervals by resampling whole clusters: an entity's name, `day`, or `row`."""

    resamples: int = Field(1000, ge=100, description="How many resamples.")
    cluster: str = Field("row", description="What is drawn as a whole.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the intervals.")


class Slice(Section):
    """A part of the rows that is looked at by itself: a category, or a number cut at `bounds`."""

    column: str = Field(description="Category, entity, value or request feature.")
    bounds: list[float] = Field(default_factory=list, description="Where a number is cut.")


class Evaluation(Section):
    """Metrics, intervals and slices."""

    threshold: Threshold = Threshold()
    card_precision: CardPrecision | None = None
    bootstrap: Bootstrap = Bootstrap()
    slices: list[Slice] = Field(default_factory=list)
    quantiles: list[float] = Field(
        default_factory=lambda: [0.1, 0.5, 0.9], description="Of the pinball loss (regression)."
    )
    calibration_bins: int = Field(15, ge=2, description="Equal-width bins of the expected calibration error.")


class Budgets(Section):
    """What serving a version may cost."""

    size: ByteSize = Field("64MiB", validate_default=True, description="Largest graph.")
    latency_ms: float = Field(5.0, gt=0, description="p95 of one row through the graph, one thread.")


class Gate(Section):
    """The policy of the gate."""

    metric: str = Field(description="The metric that challenger and champion are compared on.")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Chance that an equal challenger passes.")
    min_effect: float = Field(0.0, ge=0, description="Least improvement over the champion worth a rollout.")
    max_openings: int = Field(20, ge=1, description="How often one sealed test may be opened.")
    max_slice_drop: float = Field(
        0.05,
        ge=0,
        description="Largest drop against the champion in a slice; of a loss (mae, log_loss, …) a share of its own.",
    )
    min_slice_rows: int = Field(500, ge=1, description="Smaller slices are not judged.")
    max_calibration_error: float = Field(
        0.05, gt=0, description="Expected calibration error, less its share of chance (binary)."
    )
    parity_rows: int = Field(200, ge=1, description="Rows recomputed from raw events and through serving.")
    budgets: Budgets = Budgets()
    approval: Literal["auto", "required"] = Field("auto", description="Whether a person has to approve what passed.")
