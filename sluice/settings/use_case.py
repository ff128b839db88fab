"""The whole use case."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from sluice.settings.about import About
from sluice.settings.base import Section
from sluice.settings.data import Data
from sluice.settings.explanations import Explanations
from sluice.settings.features import Features
from sluice.settings.judging import Evaluation, Gate
from sluice.settings.operation import Pipeline, Serving, Storage
from sluice.settings.payloads import Payloads
from sluice.settings.rollout import Rollout
from sluice.settings.split import Split
from sluice.settings.training import Export, Training
from sluice.settings.watch import Watch


class UseCase(Section):
    """One use case file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Name of the model.")
    task: Literal["binary", "multiclass", "regression"] = Field(description="What is predicted.")
    seed: int = Field(ge=0, lt=2**31, description="Of everything random.")
    about: About = About()
    data: Data
    features: Features = Features()
    split: Split = Field(description="How rows become train, validation and sealed test.")
    training: Training
    export: Export = Export()
    evaluation: Evaluation = Evaluation()
    gate: Gate
    rollout: Rollout = Rollout()
    serving: Serving = Serving()
    payloads: Payloads = Payloads()
    watch: Watch = Watch()
    explanations: Explanations = Explanations()
    storage: Storage = Storage()
    pipeline: Pipeline = Pipeline()

    def until(self, end: datetime | None) -> UseCase:
        """The same with data that end there; None: they do not end."""
        return self.model_copy(update={"data": self.data.model_copy(update={"end": end})})
