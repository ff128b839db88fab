"""What ingest hands on, and how it lies in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from sluice import digests
from sluice.errors import IntegrityError

FORMAT = 1


@dataclass(frozen=True)
class Ingested:
    """Events, their label stream, the rows set aside, counts, and the digest of events and labels."""

    events: pl.DataFrame
    labels: pl.DataFrame
    quarantine: pl.DataFrame
    counts: dict[str, Any]
    digest: str

    def write(self, folder: Path) -> None:
        """events.parquet, labels.parquet, quarantine.parquet, and ingest.json as the last one."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("events", "labels", "quarantine"):
            getattr(self, name).write_parquet(folder / f"{name}.parquet", compression="zstd", compression_level=1)
        document = {"format": FORMAT, "digest": self.digest, "counts": self.counts}
        (folder / "ingest.json").write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @staticmethod
    def read(folder: Path) -> Ingested:
        """Inverse of `write`.

        Raises:
            IntegrityError: the folder was not written to its end, or by a later release.
        """
        try:
            document = json.loads((folder / "ingest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise IntegrityError(f"{folder}: holds no ingest.json", "run ingest again") from None
        if document.get("format") != FORMAT:
            raise IntegrityError(f"{folder}/ingest.json: format {document.get('format')!r}, expected {FORMAT}")
        tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in ("events", "labels", "quarantine")}
        return Ingested(**tables, counts=document["counts"], digest=document["digest"])


def content_digest(events: pl.DataFrame, labels: pl.DataFrame) -> str:
    """The digest of a data version: SHA-256 over the digests of both tables."""
    return digests.of_json({"format": FORMAT, "events": digests.of_table(events), "labels": digests.of_table(labels)})


def quarantine_text(ingested: Ingested) -> str:
    """The counts as Markdown: what came in, what was left out, and why rows were set aside."""
    counts = ingested.counts
    left_out = {"before_start", "after_end", "not_arrived", "not_sampled", "labels_without_event"} & counts.keys()
    lines = [
        f"{counts['rows']:,} rows → {counts['events']:,} events and {counts['labels']:,} labels,"
        f" {sum(counts['quarantined'].values()):,} rows in quarantine.",
        "",
        *(f"- left out, {name.replace('_', ' ')}: {counts[name]:,}" for name in sorted(left_out) if counts[name]),
    ]
    if counts["reasons"]:
        lines += ["", "| rows | reason |", "|---:|---|"]
        lines += [f"| {n:,} | {reason} |" for reason, n in sorted(counts["reasons"].items(), key=lambda e: -e[1])]
    return "\n".join(lines) + "\n"
