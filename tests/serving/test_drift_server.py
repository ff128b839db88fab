"""The drift server as a real process, fed by a real receiver that hands on what is durable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import polars as pl
import pytest
from drift_world import (
    DAYS,
    RATE,
    START,
    VERSION,
    WITHIN,
    DriftProcess,
    admitted,
    answer,
    drift_folder,
    drift_of,
    metrics_of,
    rows,
    tell,
    until,
)
from payload_world import QUICK, RESPONSE, ReceiverProcess, Sender, named
from servers import free_port
from servers.process import without

from sluice.errors import WatchError
from sluice.settings.operation import Storage
from sluice.watch import door
from sluice.watch.online import running_drift_server

TODAY = START + timedelta(days=DAYS)
HOUR = timedelta(hours=1)
QUIET, SHIFT = 2000, 3.0


@dataclass
class Watched:
    """A drift server and the receiver before it."""

    drift: DriftProcess
    receiver: ReceiverProcess
    token: str

    @property
    def address(self) -> str:
        """Of the drift server."""
        return self.drift.address

    def post(self, headers: dict[str, str], body: bytes, model: str = "fraud") -> httpx.Response:
        """One event straight to the drift server."""
        given = {"Authorization": f"Bearer {self.token}", **headers}
        return httpx.post(f"{self.address}/models/{model}", content=body, headers=given, timeout=WITHIN)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    try:
        door.interpreter()
    except WatchError:
        without("alibi", "`make setup-alibi` sets its environment up")
    folder = tmp_path_factory.mktemp("watched")
    token = admitted(folder / "callers.yaml")
    drift = DriftProcess(drift_folder(folder / "drift"), folder / "callers.yaml", free_port()).start()
    with ReceiverProcess(
        folder / "receiver",
        Storage(url=str(folder / "store")),
        keys={"SLUICE_PAYLOADS_FORWARD_TOKEN": token},
        settings=QUICK,
        options=("--forward", drift.address),
    ) as receiver:
        yield Watched(drift, receiver, token)
    drift.kill()


def test_half_a_day_is_not_judged_and_that_is_said(watched: Watched) -> None:
    tell(Sender(watched.receiver), rows(200, TODAY, TODAY + 12 * HOUR, seed=2))
    found = until(watched.address, lambda found: found["rows"] == 200)
    assert (found["judged"], found["window"]["full"]) == (None, False)
    assert "the window is not full: since the start 1" in found["waiting"]
    assert metrics_of(watched.address)["sluice_drift_verdict{waiting}"] == 1


def test_a_quiet_day_is_quiet_and_few_of_its_rows_are_outliers(watched: Watched) -> None:
    tell(Sender(watched.receiver), rows(QUIET, TODAY + 12 * HOUR, TODAY + 40 * HOUR, seed=3))
    found = until(watched.address, lambda found: found["rows"] == 200 + QUIET and _is_judged(found))
    assert found["judged"]["verdict"] == "quiet", found["judged"]
    assert found["judged"]["days"] == {"reference": DAYS - 1, "window": 1}
    assert found["window"]["rows"] <= 1500 and found["window"]["thinned"] > 0
    metrics = metrics_of(watched.address)
    assert metrics["sluice_drift_verdict{quiet}"] == 1 and metrics["sluice_drift_verdict{waiting}"] == 0
    assert metrics["sluice_drift_distance{amount}"] <= metrics["sluice_drift_usual{amount}"]
    # Of rows like the reference's. Threshold and share are both of about 2,000 rows: four deviations of .007.
    assert metrics["sluice_outlier_score_count"] == 200 + QUIET
    assert abs(metrics["sluice_outliers_total"] / (200 + QUIET) - RATE) < 0.028


def test_a_planted_shift_is_found_and_named(watched: Watched) -> None:
    moved = rows(600, TODAY + 40 * HOUR, TODAY + 65 * HOUR, seed=4, shift=SHIFT)
    tell(Sender(watched.receiver), moved)
    count = 200 + QUIET + moved.height
    found = until(watched.address, lambda found: found["rows"] == count and _is_judged(found))["judged"]
    assert found["verdict"] == "drift"
    assert {part["feature"] for part in found["features"] if part["moved"]} == {"amount"}
    metrics = metrics_of(watched.address)
    assert metrics["sluice_drift_moved{amount}"] == 1 and metrics["sluice_drift_moved{shop}"] == 0
    listed = httpx.get(
        f"{watched.address}/v1/models/fraud/outliers",
        headers={"Authorization": f"Bearer {watched.token}"},
        timeout=WITHIN,
    ).json()
    assert listed["flagged"] == metrics["sluice_outliers_total"] and len(listed["outliers"]) == 5
    for one in listed["outliers"]:
        row = moved.row(by_predicate=pl.col("event_id") == one["event_id"], named=True)
        assert (one["feature"], one["value"]) == ("amount", pytest.approx(row["amount"]))
        assert one["outlier_score"] > listed["threshold"] and abs(one["usual"]) < 0.1


def test_an_event_that_comes_again_counts_once(watched: Watched) -> None:
    """Sent twice, and asked about twice under two names."""
    table = rows(100, TODAY + 64 * HOUR, TODAY + 65 * HOUR, seed=5)
    before = drift_of(watched.address)["rows"]
    for _ in range(2):
        assert watched.post(named(RESPONSE, "twice"), answer(table)).status_code == 200
    assert watched.post(named(RESPONSE, "again"), answer(table)).status_code == 200
    until(watched.address, lambda _: metrics_of(watched.address).get("sluice_drift_rows_total{repeated}") == 100)
    assert drift_of(watched.address)["rows"] == before + 100
    assert metrics_of(watched.address)["sluice_drift_events_total{duplicate}"] == 1


def test_answers_of_another_version_are_counted_and_not_mixed_in(watched: Watched) -> None:
    before = drift_of(watched.address)["rows"]
    table = rows(10, TODAY, TODAY + HOUR, seed=6)
    assert watched.post(named(RESPONSE, "other"), answer(table, version="other")).status_code == 200
    found = until(watched.address, lambda found: found["other_versions"])
    assert (found["other_versions"], found["rows"]) == ({"other": 1}, before)


def test_who_is_not_named_writes_nothing_and_reads_no_outliers(watched: Watched) -> None:
    unnamed = watched.post({**named(RESPONSE, "x"), "Authorization": "Bearer wrong"}, b"{}")
    assert (unnamed.status_code, unnamed.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert watched.post(named(RESPONSE, "x"), b"{}", model="rides").status_code == 403
    assert httpx.get(f"{watched.address}/v1/models/fraud/outliers", timeout=WITHIN).status_code == 401


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        (named(RESPONSE, "big"), b" " * 300_000, 413, None),
        ({"Content-Type": "application/json"}, b"{}", 400, "envelope"),
        (named("explain", "m"), b"{}", 400, "type"),
        (named(RESPONSE, "m"), b"[" * 5000, 400, "body"),
        (named(RESPONSE, "m"), b'{"predictions": [{"score": NaN}]}', 400, "body"),
        (named(RESPONSE, "m", **{"Ce-Time": "2999-01-01T00:00:00Z"}), b"{}", 400, "time"),
    ],
)
def test_what_is_no_event_is_refused_and_counted(
    watched: Watched, headers: dict[str, str], body: bytes, status: int, reason: str | None
) -> None:
    counter = f"sluice_drift_malformed_total{{{reason}}}" if reason else f"sluice_drift_refused_total{{{status}}}"
    before = metrics_of(watched.address).get(counter, 0)
    refused = watched.post(headers, body)
    assert refused.status_code == status and refused.json()["error"]
    assert metrics_of(watched.address)[counter] == before + 1


def test_killed_and_started_again_it_begins_with_nothing_and_says_so(watched: Watched) -> None:
    before = drift_of(watched.address)
    assert before["judged"] is not None
    watched.drift.kill()
    table = rows(100, TODAY + 65 * HOUR, TODAY + 66 * HOUR, seed=8)
    tell(Sender(watched.receiver), table)
    with running_drift_server(watched.drift.folder, watched.drift.callers, port=watched.drift.port) as address:
        assert address == watched.address
        found = until(address, lambda found: found["rows"] == table.height)
        assert found["since"] > before["since"] and found["judged"] is None
        assert "the window is not full: since the start 1.0 h of 24 h" in found["waiting"]
        assert found["version"] == VERSION


def _is_judged(found: dict[str, object]) -> bool:
    """Whether the latest judgement knows all that was sent."""
    judged, window = found["judged"], found["window"]
    assert isinstance(window, dict)
    return isinstance(judged, dict) and judged["end"] == window["end"]
