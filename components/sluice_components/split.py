"""Feature rows to train, validation and the sealed test."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def split(
    settings: str,
    code: str,
    history: dsl.Input[dsl.Dataset],
    rows: dsl.Input[dsl.Dataset],
    train: dsl.Output[dsl.Dataset],
    validation: dsl.Output[dsl.Dataset],
    sealed: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Lay the rows out as the settings say. `train` also holds the feature schema, `sealed` the seal's manifest."""
    import json
    from pathlib import Path

    import polars as pl

    from sluice.ingest import Ingested
    from sluice.settings import parse_sections
    from sluice.splits.files import write_split
    from sluice.steps import step

    with step("split"):
        counts = write_split(
            parse_sections(json.loads(settings)),
            pl.read_parquet(rows.path),
            Ingested.read(Path(history.path)),
            train=Path(train.path),
            validation=Path(validation.path),
            sealed=Path(sealed.path),
        )
        # kfp.local reuses a step only while each output is a file, and these are metadata alone.
        Path(metrics.path).touch()
        for name, count in counts.items():
            metrics.log_metric(name, count)
