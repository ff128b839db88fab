"""History into the online store's tile state."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def materialise(
    settings: str, folder: str, code: str, history: dsl.Input[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]
) -> None:
    """Bring the online store's state up to the end of `history`. `folder` is where an embedded store lies.

    Without one the state has to be a Redis's; what Feast keeps beside it is then gone with the step.
    """
    import json
    import tempfile
    from pathlib import Path

    from sluice.features.quick import quick_feast

    quick_feast()

    from sluice.features.online import OnlineFeatures
    from sluice.ingest import Ingested
    from sluice.settings import parse_sections
    from sluice.steps import step

    with step("materialise") as progress:
        ingested = Ingested.read(Path(history.path))
        online = OnlineFeatures.open(parse_sections(json.loads(settings)), Path(folder or tempfile.mkdtemp()))
        online.materialise(ingested.events, ingested.labels, progress=progress)
        metrics.log_metric("events", ingested.events.height)
