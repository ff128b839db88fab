"""What bench/handbook.yaml holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml

from sluice.settings import UseCase, read_use_case
from sluice.settings.base import Duration, Section
from sluice.settings.features import Features
from sluice.settings.training import Candidate

ROOT = Path(__file__).parents[1]
Figures = dict[str, float]


class Reproduced(Section):
    """One line of the handbook's table."""

    name: str
    candidate: Candidate
    published: Figures
    tolerance: float


class Reproduction(Section):
    """What the handbook did."""

    seed: int
    features: Features
    columns: list[str]
    holdout: list[Reproduced]
    prequential: list[Reproduced]


class Ours(Section):
    """What we make of the same weeks."""

    candidates: list[str]
    train: Duration
    gap: Duration
    aim: Figures


class Settings(Section):
    """bench/handbook.yaml."""

    use_case: str
    holdout: list[date]
    prequential: list[date]
    reproduction: Reproduction
    ours: Ours


def read_settings() -> tuple[Settings, UseCase]:
    """bench/handbook.yaml and the use case that it names."""
    document: Any = yaml.safe_load((ROOT / "bench" / "handbook.yaml").read_text(encoding="utf-8"))
    settings = Settings.model_validate(document)
    return settings, read_use_case(ROOT / settings.use_case)
