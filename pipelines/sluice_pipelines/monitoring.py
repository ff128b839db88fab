"""The monitoring pipeline: gather, detect, judge, decide; and training where the decision says so."""

from typing import Any

from kfp import dsl

from sluice.settings import UseCase, settings_json
from sluice.watch.door import QUIET
from sluice_components import compact, decide, detect, gather, judge
from sluice_pipelines.resources import placed
from sluice_pipelines.training import train_and_gate


def monitoring_pipeline(use_case: UseCase) -> Any:
    """The graph for a use case, for the compiler: `sluice monitor` does the same on one machine.

    Its parameters are `settings` (JSON of the use case file), `at` (the instant to look from; empty: now) and
    `online_folder` as in training.
    """
    written = settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-monitoring", description="Is the champion still worth what was promised?")
    def graph(settings: str = written, at: str = "", online_folder: str = "") -> None:
        placed(use_case, compact.compact(settings=settings), cached=False)
        known = placed(use_case, gather.gather(settings=settings, at=at), cached=False).outputs
        tested = detect.detect(window=known["window"])
        placed(use_case, tested, image=use_case.pipeline.alibi_image, cached=False)
        for name, value in QUIET.items():
            tested.set_env_variable(name, value)
        judged = judge.judge(
            settings=settings, gathered=known["gathered"], window=known["window"], finding=tested.outputs["finding"]
        )
        placed(use_case, judged, cached=False)
        decided = decide.decide(settings=settings, at=judged.outputs["at"], asked=at)
        placed(use_case, decided, cached=False)
        with dsl.If(decided.outputs["retrain"] == "yes", "retrain"):
            train_and_gate(use_case, decided.outputs["settings"], decided.outputs["run"], 1.0, online_folder)

    return graph
