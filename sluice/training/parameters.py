"""The hyper-parameters of every kind of candidate: names, types, bounds and what a missing one means.

The models below are the settings of `training.candidates[].params`; a field without a default must be given.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import Section


class ConstantParams(Section):
    """The share of each class in the train rows; a regression's mean, or its median where the metric is absolute."""


class LinearParams(Section):
    """Ridge regression on imputed, standardised numbers and one-hot categories."""

    alpha: float = Field(ge=0, description="Strength of the squared penalty.")
    log: list[str] = Field(default_factory=list, description="Columns taken as sign(x) log(1 + |x|).")
    indicators: bool = Field(False, description="A column more for each number that is missing somewhere in training.")


class LogisticParams(Section):
    """Logistic regression (two or more classes) on imputed, standardised numbers and one-hot categories."""

    C: float = Field(gt=0, description="Inverse strength of the squared penalty.")
    max_iter: int = Field(1000, ge=1, description="Most steps of the solver.")
    tolerance: float = Field(1e-6, gt=0, description="Largest gradient at which the solver stops.")
    balanced: bool = Field(False, description="Weigh the classes by the inverse of their frequency.")
    log: list[str] = Field(default_factory=list, description="Columns taken as sign(x) log(1 + |x|).")
    indicators: bool = Field(False, description="A column more for each number that is missing somewhere in training.")


class ForestParams(Section):
    """Random forest; categories as codes."""

    trees: int = Field(ge=1, description="How many trees.")
    max_depth: int | None = Field(None, ge=1, description="Deepest tree; null: no limit.")
    min_samples_leaf: int = Field(1, ge=1, description="Fewest rows in a leaf.")
    max_features: float | Literal["sqrt", "log2"] | None = Field(
        "sqrt", description="Columns tried at a split: a share, sqrt or log2 of their number; null: all."
    )
    balanced: bool = Field(False, description="Weigh the classes by the inverse of their frequency.")


class TreesParams(Section):
    """Gradient-boosted trees (XGBoost); categories as codes, missing numbers as they are."""

    rounds: int = Field(ge=1, description="Most boosting rounds.")
    learning_rate: float = Field(gt=0, le=1, description="Share of each tree that counts.")
    max_depth: int = Field(ge=1, le=20, description="Deepest tree.")
    min_child_weight: float = Field(1.0, ge=0, description="Least weight (second derivative) in a leaf.")
    subsample: float = Field(1.0, gt=0, le=1, description="Share of rows a tree sees.")
    colsample_bytree: float = Field(1.0, gt=0, le=1, description="Share of columns a tree sees.")
    reg_lambda: float = Field(1.0, ge=0, description="Squared penalty on leaves.")
    reg_alpha: float = Field(0.0, ge=0, description="Absolute penalty on leaves.")
    gamma: float = Field(0.0, ge=0, description="Least gain of a split.")
    max_bin: int = Field(256, ge=2, description="Bins of a number (hist).")
    positive_weight: float = Field(1.0, gt=0, description="Weight of a positive row (binary).")
    base_score: float | None = Field(None, description="The score before the first tree; null: fitted.")
    method: Literal["hist", "exact", "approx"] = Field("hist", description="How splits are found.")
    early_stopping_rounds: int | None = Field(
        None, ge=1, description="Stop after so many rounds without a better validation metric; null: all rounds."
    )


class NetworkParams(Section):
    """Residual network for tables, an ensemble in one (`members`); trained with AdamW."""

    width: int = Field(ge=1, le=8192, description="Units of a block.")
    blocks: int = Field(ge=0, le=32, description="Residual blocks after the first layer.")
    members: int = Field(1, ge=1, le=64, description="Networks that share all but their first scaling and last layer.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of units dropped while training.")
    embedding: int = Field(8, ge=1, le=1024, description="Width of a category's embedding.")
    bins: int = Field(0, ge=0, le=512, description="Quantile bins of the numbers' piecewise-linear encoding; 0: none.")
    log: list[str] = Field(default_factory=list, description="Columns taken as sign(x) log(1 + |x|).")
    indicators: bool = Field(False, description="A column more for each number that is missing somewhere in training.")
    clip: float | None = Field(None, gt=0, description="Standardised numbers are held within this distance of 0.")
    learning_rate: float = Field(gt=0, le=1, description="Of AdamW, at its highest.")
    weight_decay: float = Field(0.0, ge=0, description="Of AdamW.")
    positive_weight: float = Field(1.0, gt=0, description="Weight of a positive row (binary).")
    averaging: float = Field(0.0, ge=0, lt=1, description="Decay of the running mean of weights that is kept; 0: off.")
    batch_size: int = Field(ge=1, description="Rows a step.")
    max_epochs: int = Field(ge=1, description="Most passes over the train rows.")
    patience: int = Field(ge=1, description="Stop after so many epochs without a better validation metric.")
    clip_gradient: float | None = Field(None, gt=0, description="Largest norm of the gradient; null: any.")


Params = ConstantParams | LinearParams | LogisticParams | ForestParams | TreesParams | NetworkParams

KINDS: dict[str, type[Params]] = {
    "constant": ConstantParams,
    "linear": LinearParams,
    "logistic": LogisticParams,
    "forest": ForestParams,
    "trees": TreesParams,
    "network": NetworkParams,
}
