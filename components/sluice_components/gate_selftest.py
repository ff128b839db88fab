"""The gate's self-test: broken challengers made from the current one must be refused."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate_selftest(
    settings: str,
    challenger: dsl.Input[dsl.Model],
    validation_rows: dsl.Input[dsl.Dataset],
    history: dsl.Input[dsl.Dataset],
    result: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Judge the challenger and a dozen broken copies on a seal cut from validation; fails when the gate is wrong."""
    import json
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.promotion.selftest import selftest_challenger
    from sluice.settings import parse_sections
    from sluice.steps import emit, step

    with step("gate selftest") as progress:
        tested = selftest_challenger(
            parse_sections(json.loads(settings)),
            challenger=Path(challenger.path),
            validation=Path(validation_rows.path),
            history=Path(history.path),
            progress=progress,
        )
        folder = Path(result.path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "selftest.json").write_text(json.dumps(tested.document(), indent=1))
        metrics.log_metric("refused", sum(row.refused for row in tested.rows))
        metrics.log_metric("right", sum(row.right for row in tested.rows))
    emit(kind="outcome", decision="passed" if tested.passed else "failed", version="", folder=str(folder))
