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

    from sluice.batch import score_with_champion
    from sluice.registry import open_registry
    from sluice.settings import parse_use_case
    from sluice.steps import emit, step

    with step("score") as progress, tempfile.TemporaryDirectory() as folder:
        use_case = parse_use_case(json.loads(settings))
        scored = score_with_champion(
            open_registry(use_case, clock=lambda: datetime.now(UTC), actor="batch scoring"),
            source,
            Path(folder) / "scores.parquet",
            now=datetime.now(UTC),
            history=Path(history) if history else None,
            progress=progress,
        )
        for warning in scored.warnings:
            emit(kind="warning", step="score", message=warning)
        Path(scores.path).parent.mkdir(parents=True, exist_ok=True)
        Path(scores.path).write_bytes(scored.file.path.read_bytes())
        scores.metadata["version"] = scored.version
        metrics.log_metric("rows", scored.file.rows)
        metrics.log_metric("scored", scored.file.scored)
