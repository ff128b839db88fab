"""Score a table with the live version: what `sluice score` and the scoring pipeline's step do."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sluice.export.graph import Graph
from sluice.features.repository import read_service, refuse_other_windows
from sluice.ingest import Ingested
from sluice.registry import Registry
from sluice.registry.servable import Servable, load_champion
from sluice.scoring import ScoredFile, score_file
from sluice.steps import Progress, silent


@dataclass(frozen=True)
class ChampionScores:
    """What was written, by which version, and what whoever reads the scores should know."""

    version: str
    file: ScoredFile
    warnings: tuple[str, ...]


def score_with_champion(
    registry: Registry,
    source: str,
    out: Path,
    *,
    now: datetime,
    history: Path | None = None,
    root: Path | None = None,
    progress: Progress = silent,
) -> ChampionScores:
    """Fetch and verify the champion, and score the raw rows of `source` into `out` with it.

    Args:
        history: folder of `sluice ingest` with the events and labels before; None: windows see the source's rows only.
        root: folder that the version's `features.repo` is relative to; default: the working directory.

    Raises:
        RegistryError: nothing is live. IntegrityError: it is not what the gate signed.
        FeatureError: the repository's windows are not the version's.
        DataError: `score_file`'s.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-champion-") as folder:
        servable = load_champion(registry, Path(folder) / "version")
    refuse_other_windows(servable.use_case, servable.document.get("windows"), root)
    known = Ingested.read(history) if history else None
    scored = score_file(
        servable.use_case,
        Graph(servable.graph),
        servable.schema,
        source,
        out,
        now=now,
        history=(known.events, known.labels) if known else None,
        root=root,
        progress=progress,
    )
    return ChampionScores(servable.digest, scored, () if known else _without_history(servable, root))


def _without_history(servable: Servable, root: Path | None) -> tuple[str, ...]:
    """Windows over labels are empty without history: a table to score has no labels of its own."""
    service = read_service(servable.use_case, root)
    parts = service.windows if service is not None else ()
    blind = [name for part in parts if part.windows and part.windows.stream == "labels" for name in part.names]
    if not blind:
        return ()
    return (f"no history was given, so the windows over labels saw none: {', '.join(blind)}",)
