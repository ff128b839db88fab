"""First step: refuse wrong settings before any work, and give every later step only the settings it needs."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(
    settings: str,
    run_id: str,
) -> NamedTuple(  # type: ignore[valid-type]
    "Plan",
    [
        ("ingest", str),
        ("features", str),
        ("split", str),
        ("train", str),
        ("select", str),
        ("gate", str),
        ("source", str),
        ("code", str),
        ("run", str),
    ],
):
    """Check the settings (JSON of a use case file) and cut them into what each step depends on.

    `source` is the digest of what lies at the data's address and `code` that of the library: they are arguments
    of the steps, so that a step is reused only while neither has changed.
    `run` is the name of the run in the log of runs: `run_id`, or one that is made where that is empty.
    """
    import json
    from datetime import UTC, datetime

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.planning import plan_steps
    from sluice.steps import step

    with step("plan"):
        planned = plan_steps(json.loads(settings), run_id, lambda: datetime.now(UTC))
    return planned
