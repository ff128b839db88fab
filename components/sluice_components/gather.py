"""What is known of the champion: its answers, the labels that have arrived, what the gate promised."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gather(
    settings: str,
    at: str,
    gathered: dsl.Output[dsl.Dataset],
    window: dsl.Output[dsl.Dataset],
) -> NamedTuple("Gathered", [("at", str)]):  # type: ignore[valid-type]
    """Read ledger, registry and source as they were `at` an instant (empty: now).

    `window` is the detectors' task: the last whole window's rows, and the reference where there is something to test;
    `gathered` is the rest. The instant comes out.
    """
    import json
    from datetime import UTC, datetime
    from pathlib import Path

    from sluice.registry import open_registry
    from sluice.settings import parse_use_case
    from sluice.settings.base import read_instant
    from sluice.steps import step
    from sluice.watch.handing import write_gathered
    from sluice.watch.monitor import gather, lay_out

    with step("gather") as progress:
        use_case, now = parse_use_case(json.loads(settings)), datetime.now(UTC)
        registry = open_registry(use_case, clock=lambda: now, actor="monitor")
        found = gather(registry, use_case, at=read_instant(at, "at") if at else now, now=now, progress=progress)
        lay_out(registry, found, Path(window.path))
        write_gathered(found, Path(gathered.path))
    return (found.at.isoformat(),)
