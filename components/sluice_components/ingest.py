"""Raw events to checked events and labels."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(
    settings: str,
    source: str,
    code: str,
    sample: float,
    history: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    quarantine: dsl.Output[dsl.Markdown],
) -> None:
    """Read the source of the settings into `history` (events, labels, quarantine); `sample` is a share of entities."""
    import json
    from datetime import UTC, datetime
    from pathlib import Path

    from sluice.ingest import ingest
    from sluice.ingest.result import quarantine_text
    from sluice.settings import parse_sections
    from sluice.steps import step

    with step("ingest") as progress:
        ingested = ingest(
            parse_sections(json.loads(settings)),
            now=datetime.now(UTC),
            sample=sample,
            progress=progress,
        )
        ingested.write(Path(history.path))
        history.metadata["digest"] = ingested.digest
        # kfp.local reuses a step only while each output is a file, and these are metadata alone.
        Path(metrics.path).touch()
        metrics.log_metric("events", ingested.events.height)
        metrics.log_metric("labels", ingested.labels.height)
        metrics.log_metric("quarantined", ingested.quarantine.height)
        Path(quarantine.path).write_text(quarantine_text(ingested))
