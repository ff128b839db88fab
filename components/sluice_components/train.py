"""One candidate: search, training, export to ONNX."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    settings: str,
    code: str,
    candidate: str,
    train_rows: dsl.Input[dsl.Dataset],
    validation_rows: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the candidate with this id into `model`: graph, training record, manifest of the rows trained on."""
    import json
    from pathlib import Path

    from sluice.settings import parse_sections
    from sluice.steps import step
    from sluice_components.jobs.training import train_anywhere

    with step(f"train {candidate}") as progress:
        trained = train_anywhere(
            parse_sections(json.loads(settings)),
            candidate,
            train=Path(train_rows.path),
            validation=Path(validation_rows.path),
            folder=Path(model.path),
            progress=progress,
        )
        # kfp.local reuses a step only while each output is a file, and these are metadata alone.
        Path(metrics.path).touch()
        for name, value in trained.items():
            metrics.log_metric(name, value)
