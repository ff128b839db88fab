"""Cut a use case into what each pipeline step depends on, and name the data and the code by digest.

A step is reused while its arguments are the same: its own sections of the settings, what lies at the data's
address, and the code of the library. A change to the gate's policy therefore trains nothing anew.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sluice import digests
from sluice.features.service import check_service
from sluice.ingest.fingerprint import source_digest
from sluice.settings import UseCase, parse_use_case, sections_document
from sluice.training.candidates import check_candidates

BASE = ("name", "task", "seed")
NEEDED = {
    "ingest": (*BASE, "data", "storage"),
    "features": (*BASE, "data", "features", "serving"),
    "split": (*BASE, "data", "features", "split"),
    "train": (*BASE, "data", "features", "training", "export", "evaluation", "storage"),
    "select": (*BASE, "about", "data", "features", "split", "training", "export", "evaluation", "serving"),
    "gate": tuple(UseCase.model_fields),
}


class Plan(NamedTuple):
    """The outputs of the plan step, in the order of its component."""

    ingest: str
    features: str
    split: str
    train: str
    select: str
    gate: str
    source: str
    code: str
    candidates: list[str]


def plan_steps(document: dict[str, Any]) -> Plan:
    """Check a whole use case document and cut it.

    Raises:
        SettingsError: the settings, the feature service or the candidates are wrong.
        DataError: there is nothing at the data's address.
    """
    use_case = parse_use_case(document)
    check_service(use_case)
    check_candidates(use_case)
    return Plan(
        *(_sections(use_case, NEEDED[step]) for step in ("ingest", "features", "split", "train", "select", "gate")),
        source=source_digest(use_case),
        code=code_digest(),
        candidates=[candidate.id for candidate in use_case.training.candidates],
    )


@cache
def code_digest() -> str:
    """SHA-256 over the library's sources: the names and bytes of its Python files and templates."""
    root = Path(__file__).parent
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digests.of_json([[str(p.relative_to(root)), digests.of_file(p)] for p in files])


def _sections(use_case: UseCase, names: tuple[str, ...]) -> str:
    return json.dumps(sections_document(use_case, names), sort_keys=True)
