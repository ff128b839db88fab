"""The batch scoring pipeline: the live version over a table of events."""

from typing import Any

from kfp import dsl

from sluice.settings import UseCase, settings_json
from sluice_components import score
from sluice_pipelines.resources import placed


def scoring_pipeline(use_case: UseCase) -> Any:
    """The graph for a use case: `source` is what to score, `history` a folder with the events and labels before."""
    written = settings_json(use_case)

    @dsl.pipeline(name=f"{use_case.name}-scoring", description="A table of events to scores of the champion.")
    def graph(source: str, history: str = "", settings: str = written) -> None:
        placed(use_case, score.score(settings=settings, source=source, history=history), cached=False)

    return graph
