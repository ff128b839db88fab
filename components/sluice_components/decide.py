"""What follows from the last windows: nothing, an alert, or a training run; with the gate's key in the log."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def decide(
    settings: str,
    at: str,
    asked: str,
    told: dsl.Output[dsl.Markdown],
) -> NamedTuple(  # type: ignore[valid-type]
    "Decided",
    [("retrain", str), ("run", str), ("settings", str)],
):
    """Apply the rules to the windows up to the instant `at`.

    `asked` is the instant that a person gave, or empty: data of a retraining then end there. Out come `yes` where a
    training run is to start, its name, and its settings.
    """
    import json
    from datetime import UTC, datetime
    from pathlib import Path

    from sluice.registry import open_registry
    from sluice.report.monitor import follows
    from sluice.settings import parse_use_case, settings_json
    from sluice.settings.base import read_instant
    from sluice.steps import step
    from sluice.watch.acting import act, retraining_settings

    with step("decide"):
        use_case, instant = parse_use_case(json.loads(settings)), read_instant(at, "at")
        registry = open_registry(use_case, clock=lambda: datetime.now(UTC), actor="monitor")
        acted = act(registry, use_case, at=instant)
        Path(told.path).write_text(follows(acted) + "\n")
        again = retraining_settings(use_case, instant, given=bool(asked))
    return ("yes" if acted.retrains else "no", acted.run or "", settings_json(again))
