"""The challenger: the simplest candidate close to the best on validation."""

from typing import List  # noqa: UP035 - KFP reads this annotation

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def select(
    settings: str,
    code: str,
    models: dsl.Input[List[dsl.Model]],  # noqa: UP006
    train_rows: dsl.Input[dsl.Dataset],
    validation_rows: dsl.Input[dsl.Dataset],
    challenger: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    curve: dsl.Output[dsl.ClassificationMetrics],
    ladder: dsl.Output[dsl.Markdown],
) -> None:
    """Compare the candidates on validation rows and lay out the version that goes to the gate in `challenger`."""
    import json
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.selection import select_challenger
    from sluice.settings import parse_sections
    from sluice.steps import step

    with step("select"):
        selection = select_challenger(
            parse_sections(json.loads(settings)),
            [Path(model.path) for model in models],
            train=Path(train_rows.path),
            validation=Path(validation_rows.path),
            code=code,
            folder=Path(challenger.path),
        )
        # kfp.local reuses a step only while each output is a file, and these are metadata alone.
        for output in (metrics, curve):
            Path(output.path).touch()
        for name, value in selection.metrics.items():
            metrics.log_metric(name, value)
        if selection.roc is not None:
            curve.log_roc_curve(*selection.roc)
        Path(ladder.path).write_text(selection.markdown)
