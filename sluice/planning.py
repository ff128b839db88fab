"""Cut a use case into what each pipeline step depends on, and name the data and the code by digest.

A step is reused while its arguments are the same: its own sections of the settings, what lies at the data's
address, and the code of the library. A change to the gate's policy therefore trains nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sluice import digests
from sluice.features.check import check_service
from sluice.ingest.fingerprint import source_digest
from sluice.registry.runs import RunLog
from sluice.settings import UseCase, parse_use_case, sections_document
from sluice.storage import open_store
from sluice.training.candidates import check_candidates

BASE = ("name", "task")
NEEDED = {
    "ingest": (*BASE, "data", "storage"),
    "features": (*BASE, "data", "features", "serving"),
    "split": (*BASE, "data", "features", "split"),
    "train": (*BASE, "seed", "data", "features", "training", "export", "evaluation", "storage"),
    "select": (*BASE, "seed", "about", "data", "features", "split", "training", "export", "evaluation", "serving"),
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
    run: str


def check_use_case(document: dict[str, Any]) -> UseCase:
    """The use case of a document, when settings, feature service and candidates are right.

    Raises:
        SettingsError: something in them is wrong.
    """
    use_case = parse_use_case(document)
    check_service(use_case)
    check_candidates(use_case)
    return use_case


def plan_steps(document: dict[str, Any], run_id: str, clock: Callable[[], datetime]) -> Plan:
    """Check a whole use case document, cut it, and begin the run's entry in the log of runs.

    Args:
        run_id: name of the run; empty: one is made of time and settings.

    Raises:
        SettingsError: the settings, the feature service or the candidates are wrong.
        DataError: there is nothing at the data's address.
        StoreError: the store cannot be reached.
    """
    use_case = check_use_case(document)
    source = source_digest(use_case)
    run = RunLog(open_store(use_case.storage), use_case.name, clock=clock).start(
        data_version=source,
        settings_digest=digests.of_json(use_case.model_dump(mode="json", by_alias=True)),
        seed=use_case.seed,
        hyper_parameters={c.id: dict(c.params) for c in use_case.training.candidates},
        run_id=run_id or None,
    )
    cut = {step: json.dumps(sections_document(use_case, names), sort_keys=True) for step, names in NEEDED.items()}
    return Plan(**cut, source=source, code=code_digest(), run=run.id)


@cache
def code_digest() -> str:
    """SHA-256 over the library's sources: the names and bytes of its Python files and templates."""
    root = Path(__file__).parent
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digests.of_json([[str(p.relative_to(root)), digests.of_file(p)] for p in files])
