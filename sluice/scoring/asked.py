"""A source's raw rows with everything that their features need, on disk: what scoring and drift both start from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from sluice.features.historical import with_request_features
from sluice.features.repository import read_service
from sluice.ingest.personal import secret_of
from sluice.scoring.pieces import Laid, Piece, lay_down
from sluice.scoring.windows import Answers, History, answer_windows
from sluice.settings import UseCase
from sluice.steps import Progress, silent

CHUNK = 262_144
"""Rows that are in memory at once, about."""


@dataclass(frozen=True)
class Asked:
    """The pieces of a source, and what the windows answered for them (None where there are none)."""

    use_case: UseCase
    laid: Laid
    answers: Answers | None

    def features(self, piece: Piece, good: pl.DataFrame) -> pl.DataFrame:
        """Feature rows of the good rows of a piece, in their order."""
        return with_request_features(self.use_case, good, self.answers.of(piece) if self.answers else None)


@contextmanager
def asked_rows(
    use_case: UseCase,
    source: str,
    *,
    now: datetime,
    history: History | None = None,
    pseudonym_key: bytes | None = None,
    root: Path | None = None,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> Iterator[Asked]:
    """Read, check and answer the raw rows of `source`, in a folder that goes when the context ends.

    The arguments are those of `score_file`.

    Raises:
        DataError: the source cannot be read or lacks a column.
    """
    columns = use_case.data.columns
    use_case = _without_labels(use_case)
    progress("score", 0, 0, "read")
    with tempfile.TemporaryDirectory(prefix="sluice-score-") as scratch:
        # An id that is a hash of the row leaves the label out, here as in ingest.
        unseen = [name for name in (columns.label, columns.label_time) if name is not None]
        place, key = Path(scratch), pseudonym_key or secret_of(use_case)
        laid = lay_down(
            use_case, source, place / "rows", rows=chunk, now=now, key=key, unseen=unseen, progress=progress
        )
        service, answers = read_service(use_case, root), None
        if service is not None and service.parts:
            answers = answer_windows(
                use_case, service, laid, history, place / "windows", rows=chunk, root=root, progress=progress
            )
        yield Asked(use_case, laid, answers)


def source_features(
    use_case: UseCase,
    source: str,
    *,
    now: datetime,
    history: History | None = None,
    root: Path | None = None,
) -> pl.DataFrame:
    """The feature rows of the raw rows of `source` that break no rule, as `score_file` computes them.

    Raises:
        DataError: the source cannot be read or lacks a column.
    """
    with asked_rows(use_case, source, now=now, history=history, root=root) as asked:
        return pl.concat([asked.features(piece, asked.laid.good(piece)) for piece in asked.laid.pieces])


def _without_labels(use_case: UseCase) -> UseCase:
    data = use_case.data
    columns = data.columns.model_copy(update={"label": None, "label_time": None})
    return use_case.model_copy(update={"data": data.model_copy(update={"columns": columns})})
