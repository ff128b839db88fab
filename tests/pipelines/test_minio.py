"""The pipeline and the server with everything in a real MinIO: the raw table, checkpoints, versions, decisions."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
import servers
from servers import S3, minio_program, start_minio, wait_until_ready

from sluice.errors import PipelineError
from sluice.registry import Registry, RunLog, open_registry, verify
from sluice.settings import UseCase, read_use_case
from sluice.simulate import World, write_raw
from sluice_cli.endpoint import fetch_champion, running
from sluice_pipelines.local import LocalRun, new_run_id, run_locally

ROOT = Path(__file__).parents[2]
BUCKET = "models"
pytestmark = [pytest.mark.slow, pytest.mark.minio, pytest.mark.timeout(600)]


@dataclass
class Place:
    """A MinIO with a raw table in it, and a use case that reads and stores there."""

    s3: S3
    folder: Path
    use_case: UseCase

    def run(self, use_case: UseCase | None = None, *, kill_at: str = "") -> tuple[LocalRun, list[str]]:
        """A run, and the steps that it did not reuse; at the first news of the step `kill_at` the server is killed."""
        finished: list[str] = []

        def listen(line: dict[str, Any]) -> None:
            if line["kind"] == "finished":
                finished.append(line["step"])
            if line["kind"] == "progress" and line["step"] == kill_at and self.s3.server is not None:
                self.s3.server.kill()

        run_id, work = new_run_id(), self.folder / "work"
        return run_locally(use_case or self.use_case, run_id=run_id, work=work, listen=listen), finished

    def stored(self, **changes: str) -> UseCase:
        """The use case with other settings of the store."""
        return self.use_case.model_copy(update={"storage": self.use_case.storage.model_copy(update=changes)})

    def registry(self) -> Registry:
        """Where the decisions are."""
        return open_registry(self.use_case, clock=_never, actor="test")

    def runs(self) -> list[str]:
        """Status of every run, the newest first."""
        return [run.status for run in RunLog(self.registry().store, "fraud", clock=_never).list()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("minio-run")
    program = None if "SLUICE_TEST_S3" in os.environ else minio_program()
    s3 = start_minio(program, folder / "minio") if program else request.getfixturevalue("s3")
    s3.client.make_bucket(BUCKET)
    for file in sorted(write_raw(World(days=62, cards=400, terminals=300), 5, folder / "raw").rglob("*.parquet")):
        s3.client.fput_object(BUCKET, f"raw/{file.name}", str(file))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment.items():
            patch.setenv(name, value)
        yield Place(s3, folder, _use_case(folder, s3))
    if program and s3.server is not None:
        s3.server.kill()


def _use_case(folder: Path, s3: S3) -> UseCase:
    document: dict[str, Any] = {
        "data.source": f"s3://{BUCKET}/raw",
        "features.repo": str(ROOT / "feature_repo"),
        "storage": {**s3.storage(BUCKET, "store").model_dump(mode="json"), "keys": str(folder / "keys")},
        "split.train": "28d",
        "split.test": "10d",
        "training.candidates": [
            {"id": "constant", "kind": "constant"},
            {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
        ],
        "evaluation.bootstrap.resamples": 200,
        "gate.max_calibration_error": 0.2,
        "gate.parity_rows": 40,
    }
    return read_use_case(ROOT / "use_cases" / "fraud.yaml", document)


@pytest.fixture(scope="module")
def interrupted(place: Place) -> PipelineError | None:
    """How a run ended whose MinIO was killed while the gate registered the challenger; MinIO is back since."""
    if place.s3.server is None:
        return None
    try:
        with pytest.raises(PipelineError) as caught:
            place.run(kill_at="gate")
    finally:
        place.s3.server.start()
        wait_until_ready(place.s3)
    return caught.value


@pytest.fixture(scope="module")
def first(place: Place, interrupted: PipelineError | None) -> tuple[LocalRun, list[str]]:
    return place.run()


def test_a_server_killed_in_the_middle_of_a_run_is_told_and_nothing_is_half_registered(
    place: Place, interrupted: PipelineError | None
) -> None:
    if interrupted is None:
        servers.missing["a MinIO of our own"] = "install Go from https://go.dev/dl"
        pytest.skip("somebody else's server is not ours to kill")
    assert interrupted.message.startswith("step gate: s3://models/store")
    assert "the server does not answer" in interrupted.message
    assert "then run again" in interrupted.hint
    registry = place.registry()
    assert verify(registry.store, registry.keys).problems == ()
    assert registry.champion() is None
    assert {decision.kind for decision in registry.log()} <= {"opened"}
    assert place.runs() == ["running"], "a server that is gone cannot be told how the run ended"


def test_the_run_repeated_reuses_its_steps_and_promotes(
    place: Place, interrupted: PipelineError | None, first: tuple[LocalRun, list[str]]
) -> None:
    finished, steps = first
    assert finished.decision == "promoted"
    assert interrupted is None or set(steps) == {"plan", "gate", "materialise"}
    registry = place.registry()
    champion = registry.champion()
    assert champion is not None and champion.digest == finished.version
    checked = verify(registry.store, registry.keys)
    assert checked.problems == ()
    assert checked.checked["signatures"] >= 1
    assert place.runs()[0] == "promoted"
    assert {"decision.json", "verdict.json", "report.html", "card.md"} <= {p.name for p in finished.folder.iterdir()}


def test_the_champion_is_fetched_from_minio_served_and_scores_an_event(
    place: Place, first: tuple[LocalRun, list[str]]
) -> None:
    fetched = fetch_champion(place.use_case, place.folder / "fetched")
    assert fetched.digest == first[0].version
    event = pl.read_parquet(place.folder / "raw" / "*.parquet").sort("time").row(-1, named=True)
    instance = {
        "event_id": event["transaction_id"],
        "event_time": event["time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "card": event["card_id"],
        "terminal": event["terminal_id"],
        "amount": event["amount"],
    }
    with running(fetched, place.folder / "work" / "online" / "fraud") as endpoint:
        answer = _asked(f"{endpoint.address}/v1/models/fraud:predict", instance)
    assert endpoint.version == first[0].version
    assert answer["repeated"] is True, "the state that the run made holds this event"
    assert answer["unknown"] == [] and 0 < answer["score"] < 1


def _asked(url: str, instance: dict[str, Any]) -> dict[str, Any]:
    """The prediction; the server may take a moment from its announcement to its first answer."""
    deadline = time.monotonic() + 240
    while True:
        try:
            answer = httpx.post(url, content=json.dumps({"instances": [instance]}, default=str), timeout=240)
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert answer.status_code == 200, answer.text
    prediction: dict[str, Any] = answer.json()["predictions"][0]
    return prediction


def test_wrong_credentials_stop_the_run_before_any_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(PipelineError, match=r"step plan: s3://models.*the secret key is wrong") as caught:
        place.run()
    assert "check AWS_SECRET_ACCESS_KEY" in caught.value.hint


def test_a_missing_bucket_stops_the_run_before_any_work(place: Place) -> None:
    with pytest.raises(PipelineError, match=r"step plan: s3://never-made.*there is no such bucket") as caught:
        place.run(place.stored(url="s3://never-made/store"))
    assert "sluice init" in caught.value.hint


def _never() -> Any:
    raise AssertionError("nothing is written here")
