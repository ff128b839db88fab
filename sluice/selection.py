"""From trained candidates to the challenger: chosen on validation rows, laid out as the version that may go live.

challenger/
  version/        what is registered: model.onnx, schema.json, settings.json, training.json, train_rows.npy,
                  environment.txt
  document.json   the version's document
  ladder/<id>/    the candidates' folders, all of them
  reference.parquet  rows that a served version is compared with: evidence of the decision
  selection.json  every candidate's validation metric, the choice and why
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice import digests
from sluice.features.repository import read_service
from sluice.rollout.counts import DECILES
from sluice.settings import UseCase
from sluice.settings.metrics import HIGHER_IS_BETTER
from sluice.splits.files import SCHEMA, read_data_digest, read_rows
from sluice.training.files import merge_tasks
from sluice.training.task import read_scores, validation_threshold
from sluice.watch.sampling import write_reference

Curve = tuple[list[float], list[float], list[float]]


@dataclass(frozen=True)
class Selection:
    """The choice. `roc` holds false and true positive rates and thresholds (binary only)."""

    chosen: str
    metrics: dict[str, float]
    roc: Curve | None
    markdown: str


def select_challenger(
    use_case: UseCase,
    candidates: list[Path],
    *,
    train: Path,
    validation: Path,
    code: str,
    folder: Path,
) -> Selection:
    """Take the simplest candidate within `training.margin` of the best on validation, and lay out its version."""
    by_id = _merged(use_case, candidates, folder / "ladder")
    ordered = [candidate.id for candidate in use_case.training.candidates if candidate.id in by_id]
    values = {name: float(by_id[name][1]["metric"]["validation"]) for name in ordered}
    chosen = choose(use_case, values)
    threshold = validation_threshold(use_case, by_id[chosen][0])
    document = _document(use_case, chosen, threshold, train, code)
    document["score_levels"] = score_levels(read_scores(by_id[chosen][0]))
    _lay_out(use_case, folder, by_id[chosen][0], train, document)
    write_reference(use_case, folder / "version", train, validation, folder)
    table = _markdown(use_case, values, chosen)
    _write(folder / "selection.json", {"format": 1, "chosen": chosen, "order": ordered, "validation": values})
    roc = _roc(validation, by_id[chosen][0]) if use_case.task == "binary" else None
    return Selection(chosen, {f"{name} {use_case.training.metric}": v for name, v in values.items()}, roc, table)


def _merged(use_case: UseCase, candidates: list[Path], ladder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Each candidate's folder in the ladder and its record: one, however many tasks its search was shared out to."""
    found: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for path, record in map(_record, candidates):
        found.setdefault(record["id"], []).append((path, record))
    up = HIGHER_IS_BETTER[use_case.task][use_case.training.metric]
    return {name: (ladder / name, merge_tasks(parts, up, ladder / name)) for name, parts in found.items()}


def choose(use_case: UseCase, values: dict[str, float]) -> str:
    """The simplest (first) candidate whose validation metric is within the margin of the best."""
    up = HIGHER_IS_BETTER[use_case.task][use_case.training.metric]
    best = max(values.values()) if up else min(values.values())
    near = [name for name, value in values.items() if abs(value - best) <= use_case.training.margin]
    return near[0]


def score_levels(scores: NDArray[np.floating[Any]]) -> list[float]:
    """The deciles, 0.1 to 0.9, of [n] scores or of the top class's in [n x k]: what is usual for a version."""
    top = scores.max(axis=1) if scores.ndim == 2 else scores
    return [float(level) for level in np.quantile(top.astype(np.float64), DECILES)]


def _record(folder: Path) -> tuple[Path, dict[str, Any]]:
    return folder, json.loads((folder / "candidate.json").read_text())


def _lay_out(use_case: UseCase, folder: Path, chosen: Path, train: Path, document: dict[str, Any]) -> None:
    version = folder / "version"
    version.mkdir(parents=True, exist_ok=True)
    for path in sorted(chosen.glob("*.onnx")):
        shutil.copyfile(path, version / path.name)
    shutil.copyfile(chosen / "train_rows.npy", version / "train_rows.npy")
    shutil.copyfile(train / SCHEMA, version / SCHEMA)
    record = _record(chosen)[1]
    _write(version / "training.json", {name: value for name, value in record.items() if name != "run"})
    _write(version / "settings.json", _settings(use_case))
    (version / "environment.txt").write_text(_environment())
    _write(folder / "document.json", document)


def _settings(use_case: UseCase) -> dict[str, Any]:
    """The settings of a version: without the places that data and stores happen to lie at."""
    settings = use_case.model_dump(
        mode="json", by_alias=True, exclude={"storage", "pipeline", "gate", "rollout", "watch", "explanations"}
    )
    settings["data"]["source"] = ""
    settings["payloads"]["address"] = None
    return settings


def _document(use_case: UseCase, chosen: str, threshold: float | None, train: Path, code: str) -> dict[str, Any]:
    service = read_service(use_case)
    return {
        "task": use_case.task,
        "candidate": chosen,
        "seed": use_case.seed,
        "service": use_case.features.service,
        "windows": service.digest if service else None,
        "threshold": threshold,
        "data": read_data_digest(train),
        "code": code,
    }


def _environment() -> str:
    found = {f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions() if d.metadata["Name"]}
    return "\n".join(sorted(found)) + "\n"


def _roc(validation: Path, chosen: Path) -> Curve:
    from sklearn.metrics import roc_curve

    label = read_rows(validation).get_column("label").to_numpy()
    false, true, thresholds = roc_curve(label, read_scores(chosen))
    kept = np.unique(np.linspace(0, len(false) - 1, 200).astype(int))
    return false[kept].tolist(), true[kept].tolist(), np.clip(thresholds[kept], 0, 1).tolist()


def _markdown(use_case: UseCase, values: dict[str, float], chosen: str) -> str:
    lines = [f"| candidate | {use_case.training.metric} on validation | |", "|---|---|---|"]
    lines += [f"| {name} | {value:.4f} | {'challenger' if name == chosen else ''} |" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(digests.canonical_json(document))
