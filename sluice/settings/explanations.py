"""How a score is explained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import ByteSize, Duration, Section


class KernelShap(Section):
    """Shapley values: what each feature adds to the score, or takes from it; with the base they make the score."""

    background: int = Field(20, ge=1, description="Train rows that stand for a feature that is not known.")
    samples: int = Field(
        512,
        ge=4,
        description="Sets of features asked about, each with all background rows; all sets, if they are less.",
    )


class Anchors(Section):
    """Conditions on a few features under which the decision stays the same, whatever the other features are."""

    rows: int = Field(2000, ge=100, description="Train rows that other values are drawn from.")
    precision: float = Field(0.95, gt=0.5, lt=1, description="Share of vectors that must get the same decision.")
    delta: float = Field(0.1, gt=0, lt=1, description="Chance that the precision is lower all the same.")
    tolerance: float = Field(0.15, gt=0, lt=1, description="How far from the best a set of conditions may be chosen.")
    batch: int = Field(100, ge=10, description="Vectors drawn at a time; a call each.")
    coverage_samples: int = Field(2000, ge=100, description="Train rows drawn to see how often conditions hold.")
    most: int = Field(4, ge=1, description="Conditions, at most.")


class Explanations(Section):
    """What explains a score, and what that may cost the predictor."""

    method: Literal["kernel_shap", "anchors"] = Field(
        "kernel_shap", description="`kernel_shap`: reasons that add up; `anchors`: conditions that suffice."
    )
    reasons: int = Field(3, ge=1, description="Reasons that are told in words.")
    max_rows: int = Field(10, ge=1, description="Rows in one request to the explainer.")
    max_body: ByteSize = Field("64KiB", validate_default=True, description="Largest request to the explainer.")
    batch: int = Field(
        256, ge=1, description="Vectors in one call of the predictor, which answers nobody else meanwhile."
    )
    calls: int = Field(500, ge=2, description="Calls of the predictor that one request may cost.")
    seconds: Duration = Field("30s", validate_default=True, description="Time that one request may take.")
    kernel_shap: KernelShap = KernelShap()
    anchors: Anchors = Anchors()
