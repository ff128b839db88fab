"""Keep the payload ledger small."""

from kfp import dsl

from sluice_components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def compact(settings: str, metrics: dsl.Output[dsl.Metrics]) -> None:
    """Write small files together, and remove days that are older than `payloads.keep`."""
    import json
    from datetime import UTC, datetime

    from sluice.ledger import compact, expire
    from sluice.settings import parse_use_case
    from sluice.steps import step
    from sluice.storage import open_store

    with step("compact"):
        use_case, now = parse_use_case(json.loads(settings)), datetime.now(UTC)
        store = open_store(use_case.storage)
        gone = expire(store, use_case.name, use_case.payloads.keep, now=now)
        done = compact(store, use_case.name, use_case.payloads, now=now)
        metrics.log_metric("files before", done.before)
        metrics.log_metric("files", done.after)
        metrics.log_metric("removed partitions", len(gone))
