"""Events and labels to feature rows, through Feast."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def features(settings: str, code: str, history: dsl.Input[dsl.Dataset], rows: dsl.Output[dsl.Dataset]) -> None:
    """One feature row per event of `history`, as of that event, into `rows` (Parquet)."""
    import json
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.features.historical import feature_rows
    from sluice.ingest import Ingested
    from sluice.settings import parse_sections
    from sluice.steps import step

    with step("features") as progress:
        ingested = Ingested.read(Path(history.path))
        table = feature_rows(parse_sections(json.loads(settings)), ingested.events, ingested.labels, progress=progress)
        table.write_parquet(rows.path)
        rows.metadata["rows"] = table.height
