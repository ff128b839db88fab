"""What the window and the days are worth, against the promise; the window is recorded."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def judge(
    settings: str,
    gathered: dsl.Input[dsl.Dataset],
    window: dsl.Input[dsl.Dataset],
    finding: dsl.Input[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    found: dsl.Output[dsl.Artifact],
) -> NamedTuple("Judged", [("at", str), ("verdict", str)]):  # type: ignore[valid-type]
    """Record the window unless an earlier run did; page, table of days and figures go to `found`."""
    import json
    from datetime import UTC, datetime
    from pathlib import Path

    from sluice.registry import open_registry
    from sluice.report.monitor import metrics_of, write_monitor_files
    from sluice.settings import parse_use_case
    from sluice.steps import step
    from sluice.watch.drift import read_task
    from sluice.watch.handing import read_gathered
    from sluice.watch.monitor import judge

    with step("judge"):
        use_case, now, task = parse_use_case(json.loads(settings)), datetime.now(UTC), Path(window.path)
        registry = open_registry(use_case, clock=lambda: now, actor="monitor")
        known = read_gathered(use_case, Path(gathered.path), task)
        watched = judge(registry, known, read_task(task, Path(finding.path)))
        files = write_monitor_files(watched, registry.log(), Path(found.path), written=now)
        Path(report.path).write_bytes(files.report.read_bytes())
        for name, value in metrics_of(watched).items():
            metrics.log_metric(name, value)
    return (known.at.isoformat(), watched.window["verdict"])
