"""From a file of raw rows to a file of scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from sluice.export.graph import Scorer
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.scoring.asked import CHUNK, Asked, asked_rows
from sluice.scoring.pieces import AT, Laid, Piece
from sluice.settings import UseCase
from sluice.steps import Progress, silent
from sluice.written import table_writer


@dataclass(frozen=True)
class ScoredFile:
    """What was written: rows in all, rows with a score, and how many rows each reason kept from one."""

    path: Path
    rows: int
    scored: int
    reasons: dict[str, int]


def score_table(graph: Scorer, schema: FeatureSchema, rows: pl.DataFrame, *, chunk: int = CHUNK) -> np.ndarray:
    """Scores of feature rows, a chunk at a time.

    Args:
        rows: a column for every name of the schema.

    Returns:
        float32 [n] probability of the positive class or value; [n, k] probabilities of k classes.

    Raises:
        FeatureError: the rows lack a feature of the schema.
    """
    starts = range(0, max(rows.height, 1), chunk)
    return np.concatenate([graph.score(to_matrix(schema, rows[start : start + chunk])) for start in starts])


def score_file(
    use_case: UseCase,
    graph: Scorer,
    schema: FeatureSchema,
    source: str,
    out: Path,
    *,
    now: datetime,
    history: tuple[pl.DataFrame, pl.DataFrame] | None = None,
    pseudonym_key: bytes | None = None,
    root: Path | None = None,
    chunk: int = CHUNK,
    progress: Progress = silent,
) -> ScoredFile:
    """Score the raw rows of `source` (file, folder or s3:// prefix; labels are not needed) into `out`.

    Args:
        out: .parquet or .csv with `event_id`, `score` (or `score_<class>` and `class`), `reason`; written whole or not.
        now: events after it are from the future, and have no score.
        history: events and label stream before the source's own rows; its windows see both.
        pseudonym_key: secret of hashed personal columns; default: what the settings name.
        root: folder that `features.repo` is relative to.
        chunk: rows of the source that are in memory at once; windows take as many of history and source together.

    Raises:
        DataError: the source cannot be read, lacks a column, or `out` is of neither kind.
    """
    write = table_writer(out)
    with asked_rows(
        use_case,
        source,
        now=now,
        history=history,
        pseudonym_key=pseudonym_key,
        root=root,
        chunk=chunk,
        progress=progress,
    ) as asked:
        laid = asked.laid

        def chunks() -> Iterator[pl.DataFrame]:
            for piece in laid.pieces:
                good = laid.good(piece)
                yield _output(use_case, laid, piece, good, _scores(asked, graph, schema, piece, good))
                progress("score", piece.stop, laid.rows)

        write(chunks())
    return ScoredFile(out, laid.rows, laid.scored, laid.reasons)


def _scores(asked: Asked, graph: Scorer, schema: FeatureSchema, piece: Piece, good: pl.DataFrame) -> np.ndarray:
    """float32 [good rows, scores a row]."""
    width = len(_names(asked.use_case))
    if good.height == 0:
        return np.zeros((0, width), dtype=np.float32)
    return score_table(graph, schema, asked.features(piece, good)).reshape(good.height, width)


def _output(use_case: UseCase, laid: Laid, piece: Piece, good: pl.DataFrame, scores: np.ndarray) -> pl.DataFrame:
    """A row for each row of the piece: the good ones with their scores, the others with their reason."""
    names = _names(use_case)
    table = good.select(AT, "event_id").with_columns(
        pl.Series(name, scores[:, i], dtype=pl.Float32).fill_nan(None) for i, name in enumerate(names)
    )
    if use_case.task == "multiclass":
        classes = np.array(use_case.data.labels.classes, dtype=object)
        top = classes[np.nan_to_num(scores).argmax(axis=1)] if len(scores) else []
        table = table.with_columns(pl.Series("class", top, dtype=pl.String))
    table = table.with_columns(reason=pl.lit(None, pl.String))
    return pl.concat([table, laid.wrong(piece)], how="diagonal").sort(AT).drop(AT)


def _names(use_case: UseCase) -> list[str]:
    """The columns of scores."""
    return [f"score_{name}" for name in use_case.data.labels.classes] if use_case.task == "multiclass" else ["score"]
