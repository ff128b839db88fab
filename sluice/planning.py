"""Cut a use case into what each pipeline step depends on, and name the data and the code by digest.

A step is reused while its arguments are the same: its own sections of the settings, what lies at the data's
address, and the code: the library's, the feature repository's and that of imported candidates. A change to the
gate's policy therefore trains nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from sluice import digests
from sluice.features.check import check_service
from sluice.features.repository import read_service
from sluice.ingest.fingerprint import source_digest
from sluice.registry.runs import RunLog
from sluice.settings import UseCase, parse_use_case, sections_document
from sluice.storage import open_store
from sluice.training.candidates import check_candidates
from sluice.training.processes import NEEDED as TRAINING

BASE = ("name", "task")
NEEDED = {
    "ingest": (*BASE, "data", "storage"),
    "features": (*BASE, "data", "features", "serving"),
    "split": (*BASE, "data", "features", "split"),
    "train": TRAINING,
    "select": (
        *BASE,
        *("seed", "about", "data", "features", "split", "training", "export", "evaluation", "serving"),
        *("payloads", "watch"),
    ),
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
    needed = dict(NEEDED)
    if use_case.training.distributed.engine == "trainjob":
        # The step makes the job: image, resources and pool are settings of its own then.
        needed["train"] = (*TRAINING, "pipeline")
    cut = {step: json.dumps(sections_document(use_case, names), sort_keys=True) for step, names in needed.items()}
    return Plan(**cut, source=source, code=everything_digest(use_case), run=run.id)


@cache
def code_digest() -> str:
    """SHA-256 over the library's sources: the names and bytes of its Python files and templates."""
    root = Path(__file__).parent
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return digests.of_json([[str(p.relative_to(root)), digests.of_file(p)] for p in files])


def everything_digest(use_case: UseCase) -> str:
    """SHA-256 over the library and what the use case adds to it: its feature repository and imported candidates."""
    return digests.of_json([code_digest(), _repository_files(use_case), _imported_files(use_case)])


def _repository_files(use_case: UseCase) -> list[list[str]]:
    """Names and digests of the definitions, and of the files that ordinary feature views read."""
    service = read_service(use_case)
    if service is None or use_case.features.repo is None:
        return []
    root = Path(use_case.features.repo)
    files = [file for kind in ("*.py", "*.yaml") for file in root.rglob(kind)]
    for part in service.parts:
        path = getattr(part.view.batch_source, "path", "") if part.windows is None else ""
        files += [root / path] if path and (root / path).is_file() else []
    return _digested(root, files)


def _imported_files(use_case: UseCase) -> list[list[str]]:
    """Names and digests of the packages that imported candidates are from; what is not installed here has none."""
    found = []
    for package in sorted({c.import_.split(":")[0].split(".")[0] for c in use_case.training.candidates if c.import_}):
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            found += _digested(Path(folder), list(Path(folder).rglob("*.py")))
        if spec and spec.origin and not spec.submodule_search_locations:
            found += _digested(Path(spec.origin).parent, [Path(spec.origin)])
    return found


def _digested(root: Path, files: list[Path]) -> list[list[str]]:
    return [[file.relative_to(root).as_posix(), digests.of_file(file)] for file in sorted(set(files))]
