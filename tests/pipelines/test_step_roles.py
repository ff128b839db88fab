"""Every step's work against a real MinIO with the keys of its role alone, from the raw table to the served version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kfp import dsl
from servers import S3, minio_program, start_minio, without

from sluice.errors import StoreError
from sluice.features.historical import feature_rows
from sluice.ingest import Ingested, ingest
from sluice.ledger.layout import partition_of
from sluice.ledger.tables import RESPONSES, encode
from sluice.planning import plan_steps
from sluice.promotion import gate_challenger
from sluice.registry import Keys, Registry, open_registry, verify
from sluice.registry.log import entry_key
from sluice.selection import select_challenger
from sluice.settings import UseCase, read_use_case, settings_json
from sluice.simulate import World, write_raw
from sluice.splits.files import write_split
from sluice.steps import silent
from sluice.storage import Store, open_store
from sluice.storage.bucket import init_store
from sluice.storage.roles import Places
from sluice.storage.users import ensure_credentials, make_users
from sluice.training.task import train_from_folders
from sluice_components import compact, decide, gather, judge

ROOT = Path(__file__).parents[2]
CANDIDATES: list[dict[str, Any]] = [
    {"id": "constant", "kind": "constant"},
    {"id": "logistic", "kind": "logistic", "params": {"C": 0.01}},
    {
        "id": "network",
        "kind": "network",
        "params": {
            **{"width": 8, "blocks": 1, "dropout": 0.0, "learning_rate": 0.003, "weight_decay": 0.0},
            **{"averaging": 0.9, "batch_size": 2048, "max_epochs": 2, "patience": 1},
        },
    },
]
pytestmark = [pytest.mark.slow, pytest.mark.minio, pytest.mark.timeout(600)]


@dataclass
class Place:
    """A MinIO with the users of the roles, and a use case that reads and stores there."""

    s3: S3
    users: dict[str, dict[str, str]]
    folder: Path
    use_case: UseCase

    @contextmanager
    def as_role(self, role: str) -> Iterator[None]:
        """With the keys of a role, as a step has them, and no others."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.users[role].items():
                patch.setenv(name, value)
            yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("roles-run")
    program = minio_program()
    if program is None:
        without("MinIO", "users are made only in one of our own: install Go from https://go.dev/dl")
    s3 = start_minio(program, folder / "minio")
    assert s3.server is not None
    storage = s3.storage("sluice")
    init_store(storage, credentials=s3.credentials)
    users = ensure_credentials(folder / "roles")
    make_users(storage, Places.of(storage.url), users, credentials=s3.credentials)
    for file in sorted(write_raw(World(days=62, cards=400, terminals=300), 5, folder / "raw").rglob("*.parquet")):
        s3.client.fput_object("sluice", f"raw/{file.name}", str(file))
    Keys.ensure(folder / "keys")
    document: dict[str, Any] = {
        "data.source": "s3://sluice/raw",
        "features.repo": str(ROOT / "feature_repo"),
        "storage": {**storage.model_dump(mode="json"), "keys": str(folder / "keys")},
        "split.train": "28d",
        "split.test": "10d",
        "training.candidates": CANDIDATES,
        "evaluation.bootstrap.resamples": 200,
        "gate.max_calibration_error": 1.0,
        "gate.parity_rows": 20,
    }
    yield Place(s3, users, folder, read_use_case(ROOT / "use_cases" / "fraud.yaml", document))
    s3.server.kill()


def test_the_whole_loop_goes_with_each_steps_keys(place: Place) -> None:
    use_case, folder = place.use_case, place.folder
    with place.as_role("preparer"):
        planned = plan_steps(use_case.model_dump(mode="json", by_alias=True), "r1", _now)
        ingest(use_case, now=_now()).write(folder / "history")
        history = Ingested.read(folder / "history")
        rows = feature_rows(use_case, history.events, history.labels)
        write_split(use_case, rows, history, **{part: folder / part for part in ("train", "validation", "sealed")})
    for path in sorted((folder / "sealed").iterdir()):
        place.s3.client.fput_object("sluice", f"pipelines/p/r/split/1/sealed/{path.name}", str(path))
    shutil.move(folder / "history", folder / "kept")
    shutil.move(folder / "sealed", folder / "unseen")
    with place.as_role("trainer"):
        _train(place)
        select_challenger(
            use_case,
            [folder / candidate["id"] for candidate in CANDIDATES],
            train=folder / "train",
            validation=folder / "validation",
            code=planned.code,
            folder=folder / "challenger",
        )
        for prefix in ("pipelines/p/r/split/1/sealed", "raw", "registry", "blobs"):
            with pytest.raises(StoreError, match="may not do this"):
                list(open_store(use_case.storage).keys(prefix))
    with place.as_role("gate"):
        gated = gate_challenger(
            use_case,
            run_id="r1",
            challenger=folder / "challenger",
            train=folder / "train",
            sealed=folder / "unseen",
            history=folder / "kept",
            folder=folder / "verdict",
        )
        assert gated.decision == "promoted"
        assert verify(_registry(place).store, _registry(place).keys).problems == ()
    with place.as_role("server"):
        assert _registry(place).fetch_champion(folder / "served").digest == gated.version
    for number in (1, 2):
        lock = place.s3.client.get_object_retention("sluice", entry_key("fraud", number))
        assert lock is not None and lock.retain_until_date > _now()


def test_monitoring_goes_with_each_steps_keys(place: Place) -> None:
    settings, at, kept = settings_json(place.use_case), "2018-06-01T02:00:00+00:00", _now() - timedelta(days=1)
    folder = place.folder / "monitoring"
    (folder / "finding").mkdir(parents=True)
    (folder / "finding" / "drift.json").write_text("null")
    made = {name: dsl.Dataset(uri=str(folder / name)) for name in ("gathered", "window", "finding", "found", "report")}
    with place.as_role("receiver"):
        for when, name in ((datetime(2018, 5, 28, tzinfo=UTC), "old"), (kept, "a"), (kept, "b")):
            _answer(open_store(place.use_case.storage), _version(place), when, name)
    with place.as_role("monitor"):
        gathering = {"gathered": made["gathered"], "window": made["window"]}
        assert gather.gather.python_func(settings=settings, at=at, **gathering) == (at,)
        judged = judge.judge.python_func(settings=settings, metrics=dsl.Metrics(), **made)
    assert judged == (at, "thin")
    with place.as_role("gate"):
        told = dsl.Markdown(uri=str(folder / "told"))
        assert decide.decide.python_func(settings=settings, at=at, asked=at, told=told)[0] == "no"
    metrics = dsl.Metrics()
    with place.as_role("keeper"):
        compact.compact.python_func(settings=settings, metrics=metrics)
    assert metrics.metadata == {"files before": 2, "files": 1, "removed partitions": 1}


def test_no_other_role_decides_even_with_the_gates_key(place: Place) -> None:
    for role in ("preparer", "server", "monitor"):
        with place.as_role(role), pytest.raises(StoreError, match="may not do this"):
            _registry(place).freeze(reason="not mine to say")


def test_a_decision_written_over_is_found_by_verify(place: Place) -> None:
    with place.as_role("gate"):
        registry = _registry(place)
        frozen = registry.freeze(reason="a test")
        key = entry_key("fraud", frozen.number)
        registry.store.put(key, registry.store.get(key))
        (problem,) = verify(registry.store, registry.keys).problems
    assert problem.where == key
    assert "overwritten or deleted: the store holds 2 versions of it" in problem.what


def _train(place: Place) -> None:
    for candidate in CANDIDATES:
        train_from_folders(
            place.use_case,
            candidate["id"],
            train=place.folder / "train",
            validation=place.folder / "validation",
            folder=place.folder / candidate["id"],
            progress=silent,
        )
    assert list(open_store(place.use_case.storage).keys("checkpoints")) == [], "a finished training removes its own"
    written = place.s3.client.list_objects("sluice", prefix="checkpoints/", recursive=True, include_version=True)
    assert list(written), "the network keeps checkpoints while it trains"
    assert json.loads((place.folder / "network" / "candidate.json").read_text())["id"] == "network"


def _answer(store: Store, version: str, when: datetime, name: str) -> None:
    row = {"source": "http://pod/", "id": name, "time": when, "row": 0, "score": 0.5, "version": version}
    table = pl.concat(
        [RESPONSES.to_frame(), pl.DataFrame([row], schema_overrides={key: RESPONSES[key] for key in row})],
        how="diagonal",
    )
    store.put(f"{partition_of('fraud', 'responses', version, when).prefix}/{name}.parquet", encode(table))


def _version(place: Place) -> str:
    with place.as_role("server"):
        champion = _registry(place).champion()
    assert champion is not None
    return champion.digest


def _registry(place: Place) -> Registry:
    return open_registry(place.use_case, clock=_now, actor="test")


def _now() -> datetime:
    return datetime.now(UTC)
