"""One of the processes that train a network: what `torchrun` starts, here and in the pods of a TrainJob.

A mistake in settings or rows is an outcome and no crash: it is written down, and the process ends well, as starting
again would not help. `--handover` takes settings and rows from the store, and gives what was trained to it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sluice.errors import MemoryPlanError, SluiceError
from sluice.handover import Handover
from sluice.settings import UseCase, parse_sections
from sluice.splits.files import read_rows, read_schema
from sluice.steps import emit
from sluice.storage import open_store
from sluice.training.group import Group, joined
from sluice.training.task import candidate_of, worth_showing
from sluice.training.train import train_together


def main(arguments: Sequence[str] | None = None) -> None:
    """Join the group, train, and say how it ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, help="JSON of the use case's sections: a file, or - for SETTINGS")
    for name in ("candidate", "train", "validation", "folder", "outcome", "handover"):
        parser.add_argument(f"--{name}")
    given = parser.parse_args(arguments)
    text = os.environ["SETTINGS"] if given.settings == "-" else Path(given.settings).read_text(encoding="utf-8")
    use_case = parse_sections(json.loads(text))
    with joined() as group:
        if given.handover is None:
            tell = _to_file(Path(given.outcome))
            _train(
                use_case, given.candidate, group, Path(given.train), Path(given.validation), Path(given.folder), tell
            )
        else:
            _handed_over(use_case, given.candidate, group, given.handover)


Tell = Callable[[dict[str, Any]], None]


def _to_file(path: Path) -> Tell:
    def tell(outcome: dict[str, Any]) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(outcome), encoding="utf-8")
        part.rename(path)

    return tell


def _handed_over(use_case: UseCase, candidate: str, group: Group, name: str) -> None:
    handover = Handover(open_store(use_case.storage), name)
    with tempfile.TemporaryDirectory(prefix="sluice-worker-") as scratch:
        here = Path(scratch)
        for part in ("train", "validation"):
            handover.take(part, here / part)

        def tell(outcome: dict[str, Any]) -> None:
            if "failed" not in outcome:
                handover.give("model", here / "model")
            handover.tell(outcome)

        _train(use_case, candidate, group, here / "train", here / "validation", here / "model", tell)


def _train(
    use_case: UseCase, candidate: str, group: Group, train: Path, validation: Path, folder: Path, tell: Tell
) -> None:
    try:
        trained = train_together(
            candidate_of(use_case, candidate),
            use_case,
            read_schema(train),
            read_rows(train),
            read_rows(validation),
            folder,
            group,
            store=open_store(use_case.storage),
            progress=_progress,
        )
    except SluiceError as error:
        if group.rank == 0:
            ways = list(error.ways) if isinstance(error, MemoryPlanError) else None
            tell({"failed": {"message": error.message, "hint": error.hint, "ways": ways}})
        return
    if trained is not None:
        tell({"figures": worth_showing(use_case, trained)})


def _progress(step: str, done: int, total: int, note: str = "") -> None:
    emit(kind="progress", step="train", part=step, done=done, total=total, note=note)


if __name__ == "__main__":
    main()
