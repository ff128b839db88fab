"""The gate: the one opening of the sealed test, the verdict, and the decision in the registry's log."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate(
    settings: str,
    run_id: str,
    challenger: dsl.Input[dsl.Model],
    train_rows: dsl.Input[dsl.Dataset],
    sealed: dsl.Input[dsl.Dataset],
    history: dsl.Input[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    card: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    verdict: dsl.Output[dsl.Artifact],
) -> NamedTuple("Gated", [("decision", str), ("version", str)]):  # type: ignore[valid-type]
    """Judge the challenger against its ladder and the champion; register and record the decision."""
    import json
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.promotion import gate_challenger
    from sluice.settings import parse_sections
    from sluice.steps import emit, step

    with step("gate") as progress:
        gated = gate_challenger(
            parse_sections(json.loads(settings)),
            run_id=run_id,
            challenger=Path(challenger.path),
            train=Path(train_rows.path),
            sealed=Path(sealed.path),
            history=Path(history.path),
            folder=Path(verdict.path),
            progress=progress,
        )
        Path(report.path).write_bytes((Path(verdict.path) / "report.html").read_bytes())
        Path(card.path).write_bytes((Path(verdict.path) / "card.md").read_bytes())
        for name, value in gated.metrics.items():
            metrics.log_metric(name, value)
    emit(kind="outcome", decision=gated.decision, version=gated.version, folder=verdict.path)
    return (gated.decision, gated.version)
