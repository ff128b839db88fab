"""The compiled monitoring package as pods: scores that have moved are found, and a training run meets the gate.

Every step has its own image and its own keys to MinIO; a runner of the tests stands in for Kubeflow, as in
`test_pipeline.py`. The gate is told to refuse, so that later tests find the champion that they know.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from stack import MINIO, NAMESPACE, Stack, built

from sluice.features.historical import feature_names, feature_rows
from sluice.ingest import ingest
from sluice.ledger.layout import partition_of
from sluice.ledger.tables import FEATURES, RESPONSES, encode
from sluice.registry import why
from sluice.watch.records import read_windows
from tests.cluster.kubeflow.runner import Pods

AT = "2018-06-01T02:00:00Z"
START, END = (datetime(2018, 5, day, tzinfo=UTC) for day in (24, 31))
"""The window; its labels are not there yet."""
SETTINGS: dict[str, Any] = {
    "watch.rules": {"violated": 1, "of": 1, "on": ["drift"]},
    "gate.max_calibration_error": 1e-9,
    # The simulated world is of 2018: its answers are too old to be kept.
    "payloads.keep": "36500d",
}
# Five steps of monitoring and all of training, a pod each.
pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def champion(trained: dict[str, Any]) -> str:
    """The version that the training pipeline promoted."""
    return str(trained["gate"].parameters["version"])


@pytest.fixture(scope="module")
def ran(stack: Stack, champion: str) -> Pods:
    """The package, run over a week in which the champion answered the wrong way round."""
    stack.cluster.import_image(built("alibi"))
    _answer(stack, champion)
    pods = Pods(stack.cluster.kubectl, NAMESPACE, "s3://sluice/pipelines", MINIO, "sluice-pipeline", tries=1)
    pods.run(stack.package("monitoring", **SETTINGS), at=AT)
    return pods


def test_monitoring_goes_on_with_training_in_pods(ran: Pods) -> None:
    assert ran.ran[:5] == ["compact", "gather", "detect", "judge", "decide"]
    assert {"condition-1-plan", "condition-1-features", "condition-1-select", "condition-1-gate"} <= set(ran.ran[5:])
    assert ran.ran[-1] == "condition-1-gate"


def test_the_window_is_on_record_with_what_the_detectors_found(ran: Pods, stack: Stack, champion: str) -> None:
    (found,) = read_windows(stack.store("monitor"), "fraud", champion)
    assert found["start"] == START.isoformat() and found["tested"] == found["answers"] > 1000
    assert found["violated"] == ["drift"] and not found["faults"]
    assert found["drift"]["score"]["moved"], "tested in the alibi image"


def test_the_log_tells_the_chain_from_the_window_to_the_verdict(ran: Pods, stack: Stack, champion: str) -> None:
    registry = stack.registry()
    story = why(registry)
    (chain,) = story["retrainings"]
    assert chain["verdict"]["kind"] == "refused"
    assert f"The monitor started run {chain['run']}" in story["text"]
    assert registry.state().champion == champion


def _answer(stack: Stack, version: str) -> None:
    """Answers of the champion about each event of the week, features and all, low where there was fraud."""
    use_case = stack.use_case(**{"data.source": str(stack.folder / "raw")})
    read = ingest(use_case, now=datetime.now(UTC))
    names = feature_names(use_case)
    inside = pl.col("event_time").is_between(START, END, closed="left")
    rows = feature_rows(use_case, read.events, read.labels).filter(inside)
    rows = rows.join(read.labels.select("event_id", "label"), on="event_id", how="left")
    told = rows.select(
        pl.lit("http://pod/").alias("source"),
        pl.col("event_id").alias("id"),
        (pl.col("event_time") + timedelta(seconds=1)).alias("time"),
        pl.lit(0, pl.Int32).alias("row"),
        "event_id",
        (0.9 - 0.8 * pl.col("label").fill_null(0)).cast(pl.Float32).alias("score"),
        pl.lit(version).alias("version"),
        pl.struct(pl.col(names).cast(pl.Float32)).alias(FEATURES),
    )
    for (day,), part in told.group_by(pl.col("time").dt.date()):
        when = part["time"][0]
        where = partition_of("fraud", "responses", version, when).prefix
        table = pl.concat([RESPONSES.to_frame(), part], how="diagonal")
        stack.store("receiver").put(f"{where}/{day}.parquet", encode(table))
