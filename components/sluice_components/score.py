"""A table of events to scores of the champion."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def score(
    settings: str,
    source: str,
    history: str,
    scores: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Score `source` (file, folder or s3:// prefix) with the live version: a row out for every row in.

    `history` is a folder as `sluice ingest` writes it, with the events and labels before; empty: none.
    """
    import json
    import tempfile
    from datetime import UTC, datetime
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.export.graph import Graph
    from sluice.ingest import Ingested
    from sluice.registry import open_registry
    from sluice.scoring import score_file
    from sluice.settings import parse_use_case
    from sluice.steps import step
    from sluice_serving.version import load_servable

    with step("score") as progress, tempfile.TemporaryDirectory() as folder:
        registry = open_registry(
            parse_use_case(json.loads(settings)), clock=lambda: datetime.now(UTC), actor="batch scoring"
        )
        champion = registry.fetch_champion(Path(folder) / "version")
        servable = load_servable(Path(folder) / "version", champion.digest, registry.keys)
        known = Ingested.read(Path(history)) if history else None
        written = Path(folder) / "scores.parquet"
        scored = score_file(
            servable.use_case,
            Graph(servable.graph),
            servable.schema,
            source,
            written,
            now=datetime.now(UTC),
            history=(known.events, known.labels) if known else None,
            progress=progress,
        )
        Path(scores.path).parent.mkdir(parents=True, exist_ok=True)
        Path(scores.path).write_bytes(written.read_bytes())
        scores.metadata["version"] = servable.digest
        metrics.log_metric("rows", scored.rows)
        metrics.log_metric("scored", scored.scored)
