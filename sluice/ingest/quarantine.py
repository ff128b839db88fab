"""Bad rows are set aside with their reasons and counted; too many stop the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from sluice.errors import DataError
from sluice.ingest.source import Raw

SCHEMA = {"table": pl.String, "file": pl.String, "row": pl.Int64, "reason": pl.String, "record": pl.String}
"""`row` counts from 0 within the file; `record` is the row as JSON text, personal columns dropped or hashed."""


class Findings:
    """What is wrong with the rows of one table: reasons in the order in which they were found."""

    def __init__(self, table: str, raw: Raw) -> None:
        self.table = table
        self._raw = raw
        self._found: list[tuple[str, np.ndarray]] = []
        self.bad = np.zeros(raw.table.height, dtype=bool)

    def add(self, reason: str, rows: np.ndarray | pl.Series) -> None:
        """Rows with this problem: a mask over the table (null: no), or row numbers."""
        mask = rows.fill_null(False).to_numpy() if isinstance(rows, pl.Series) else rows
        at = mask.nonzero()[0] if mask.dtype == bool else mask
        if at.size:
            self._found.append((reason, at))
            self.bad[at] = True

    def counts(self) -> dict[str, int]:
        """Rows by reason; a row with two problems counts in both."""
        return {reason: int(at.size) for reason, at in self._found}

    def stop_above(self, share: float) -> None:
        """Stop the run when more than this share of the rows is bad.

        Raises:
            DataError: too many; the message holds the count of each reason and where the first such row is.
        """
        bad, total = int(self.bad.sum()), self.bad.size
        if bad <= share * total:
            return
        lines = [
            f"  {at.size:>9,}  {reason}  (first: {self._place(int(at.min()))})"
            for reason, at in sorted(self._found, key=lambda entry: -entry[1].size)
        ]
        raise DataError(
            f"{bad:,} of {total:,} {self.table} rows are bad ({bad / total:.1%}, allowed {share:.1%}):\n"
            + "\n".join(lines),
            "repair the source or correct data.columns; data.quality.max_quarantined is the share allowed",
        )

    def quarantine(self, records: pl.DataFrame) -> pl.DataFrame:
        """The bad rows as the quarantine table; `records` are the source's rows as they may be kept."""
        at = self.bad.nonzero()[0]
        rows = records[at].select(pl.all().cast(pl.String))
        starts = np.array(self._raw.starts)
        file = np.searchsorted(starts, at, side="right") - 1
        return pl.DataFrame(
            {
                "table": [self.table] * at.size,
                "file": np.array(self._raw.files, dtype=object)[file].tolist(),
                "row": at - starts[file],
                "reason": self.reasons(),
                "record": rows.select(r=pl.struct(pl.all()).struct.json_encode()).get_column("r"),
            },
            schema=SCHEMA,
        )

    def reasons(self) -> Sequence[str]:
        """What is wrong with each bad row, in the order of the rows."""
        at = self.bad.nonzero()[0]
        reasons: list[list[str]] = [[] for _ in range(at.size)]
        for reason, rows in self._found:
            for i in np.searchsorted(at, rows):
                reasons[i].append(reason)
        return ["; ".join(parts) for parts in reasons]

    def _place(self, row: int) -> str:
        file = int(np.searchsorted(np.array(self._raw.starts), row, side="right")) - 1
        return f"{self._raw.files[file]} row {row - self._raw.starts[file]}"
