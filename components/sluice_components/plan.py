"""First step: refuse wrong settings before any work, and give every later step only the settings it needs."""

from typing import NamedTuple

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def plan(
    settings: str,
) -> NamedTuple(
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
        ("candidates", list),
    ],
):  # type: ignore[valid-type]
    """Check the settings (JSON of a use case file) and cut them into what each step depends on.

    `source` is the digest of what lies at the data's address and `code` that of the library: they are arguments
    of the steps, so that a step is reused only while neither has changed. `candidates` are the ids to train.
    """
    import json

    from sluice.planning import plan_steps
    from sluice.steps import step

    with step("plan"):
        planned = plan_steps(json.loads(settings))
    return planned
