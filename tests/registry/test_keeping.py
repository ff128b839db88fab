"""Verify, collect garbage, forget: what keeps a store sound, small and lawful."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sluice.errors import IntegrityError, RegistryError
from sluice.registry import Keys, Registry, RunLog, Version, collect_garbage, forget, store_rows, verify
from sluice.storage import Store, blob_key

Add = Callable[[Registry, str], Version]
LATER = timedelta(days=3)


def table(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


@pytest.fixture
def scores() -> bytes:
    return table(event_id=["1", "2", "3"], card=["person one", "c2", "person one"], score=[0.1, 0.2, 0.3])


@pytest.fixture
def live(any_store: Store, clock: Callable[[], object], keys: Keys, add: Add, scores: bytes) -> Registry:
    """A signed registry with a champion and the sealed scores that made it."""
    registry = Registry(any_store, "fraud", clock=clock, actor="gate", keys=keys)  # type: ignore[arg-type]
    version = add(registry, "a")
    registry.record_opening("seal")
    evidence = {"verdict.json": b"{}", "sealed_scores.parquet": scores}
    registry.settle("promoted", version=version.digest, against=None, evidence=evidence)
    return registry


def found(registry: Registry) -> str:
    return "\n".join(f"{p.where}: {p.what}" for p in verify(registry.store, registry.keys).problems)


def test_a_sound_store_is_sound(live: Registry) -> None:
    result = verify(live.store, live.keys)
    assert result.problems == ()
    assert result.checked == {
        "blobs": 4,
        "decisions": 2,
        "evidence": 2,
        "versions": 1,
        "signatures": 1,
        "row tables": 1,
    }


def test_every_kind_of_damage_is_told_at_once(live: Registry, add: Add) -> None:
    store, version = live.store, live.champion()
    assert version is not None
    store.put(blob_key(version.files["model.onnx"]), b"other")
    store.delete(blob_key(version.files["card.md"]))
    store.delete(blob_key(live.log()[-1].evidence["verdict.json"]))
    runs = RunLog(store, "fraud", clock=live._clock)
    run = runs.start(data_version="d", settings_digest="s" * 64, seed=1, hyper_parameters={})
    store.put(f"registry/fraud/runs/{run.id}/started.json", b"{half")
    entry = "registry/fraud/log/00000001.json"
    store.put(entry, store.get(entry).replace(b"gate", b"ghost"))
    text = found(live)
    for part in ("the bytes have digest", "its file card.md", "its verdict.json", "started.json is not a document"):
        assert part in text
    assert "00000001.json: the decision was changed after it was signed" in text
    assert "00000002.json: does not hold the hash of the entry before it" in text


def test_missing_and_unreadable_entries_are_told(live: Registry) -> None:
    live.freeze(reason="x")
    live.store.delete("registry/fraud/log/00000002.json")
    assert "00000002.json: this entry of the log is missing" in found(live)
    live.store.put("registry/fraud/log/00000002.json", b"[]")
    assert "is not a document of Sluice" in found(live)


def test_a_live_version_without_signature_is_told(live: Registry) -> None:
    for key in list(live.store.keys("registry/fraud/signatures")):
        live.store.delete(key)
    assert "is not signed" in found(live)


def test_garbage_is_what_no_decision_and_no_run_names(live: Registry, add: Add) -> None:
    store, now = live.store, datetime.now(UTC)
    orphan, kept = store.put_blob(b"orphan"), store.put_blob(b"an artifact")
    abandoned = add(live, "abandoned")
    runs = RunLog(store, "fraud", clock=live._clock)
    run = runs.start(data_version="d", settings_digest="s" * 64, seed=1, hyper_parameters={})
    runs.finish(run.id, "refused", artifacts={"scores": kept})
    before = set(store.keys())

    assert collect_garbage(store, now=now).keys == ()
    would = collect_garbage(store, now=now + LATER, dry_run=True)
    assert set(store.keys()) == before
    collected = collect_garbage(store, now=now + LATER)
    assert collected == would
    gone = before - set(store.keys())
    assert gone == set(collected.keys)
    expected = {blob_key(orphan), f"registry/fraud/versions/{abandoned.digest}.json"}
    assert gone == expected | {blob_key(digest) for digest in abandoned.files.values()}
    assert collected.size > 0
    assert verify(store, live.keys).sound
    assert live.champion() is not None


def test_nothing_is_collected_on_broken_ground(live: Registry) -> None:
    orphan = live.store.put_blob(b"orphan")
    live.store.put("registry/fraud/log/00000001.json", b"{}")
    with pytest.raises(IntegrityError):
        collect_garbage(live.store, now=datetime.now(UTC) + LATER)
    assert live.store.exists(blob_key(orphan))


def test_what_a_killed_writer_left_in_a_folder_is_collected(store: Store) -> None:
    assert store.folder is not None
    half = store.folder / "blobs" / "aa" / ("a" * 64 + "#1")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert list(store.keys()) == []
    collect_garbage(store, now=datetime.now(UTC) + LATER)
    assert not half.exists()


def test_a_person_is_forgotten_and_the_log_still_explains(live: Registry, scores: bytes) -> None:
    cache = "steps/features/rows.parquet"
    live.store.put(cache, b"rows")
    decision = live.log()[-1]
    before = decision.evidence["sealed_scores.parquet"]
    result = forget(live, entity="card", key="person one", reason="request 17")
    assert (result.tables, result.rows, result.caches) == (1, 2, 1)
    assert not live.store.exists(blob_key(before))
    assert not live.store.exists(cache)
    left = pl.read_parquet(io.BytesIO(live.evidence(decision, "sealed_scores.parquet")))
    assert left["event_id"].to_list() == ["2"]
    entry = live.log()[-1]
    assert (entry.kind, entry.number, entry.reason) == ("forgotten", result.decision, "request 17")
    assert entry.figures["tables"][0]["removed"] == before
    assert "person one" not in entry.encode().decode()
    assert verify(live.store, live.keys).sound
    assert live.champion() is not None
    again = forget(live, entity="card", key="person one", reason="request 17")
    assert (again.decision, again.rows) == (None, 0)
    collect_garbage(live.store, now=datetime.now(UTC) + LATER)
    assert live.evidence(decision, "sealed_scores.parquet")


def test_tables_without_the_entity_lose_the_rows_of_its_events(live: Registry) -> None:
    digest = store_rows(live.store, "fraud", table(event_id=["1", "9"], score=[0.5, 0.6]), "validation_scores.parquet")
    first = forget(live, entity="card", key="c9", reason="request 18")
    assert first.rows == 0
    assert any("validation_scores.parquet" in line for line in first.not_reached)
    second = forget(live, entity="card", key="c9", event_ids={"9"}, reason="request 18")
    assert second.rows == 1
    assert not live.store.exists(blob_key(digest))
    assert verify(live.store, live.keys).sound


def test_a_table_of_one_person_goes_as_a_whole(live: Registry) -> None:
    store_rows(live.store, "fraud", table(card=["c7"], score=[0.5]), "one.parquet")
    assert forget(live, entity="card", key="c7", reason="request 19").rows == 1
    assert live.log()[-1].figures["tables"][0]["replaced_by"] is None
    assert verify(live.store, live.keys).sound


def test_a_kill_between_the_record_and_the_removal_is_seen_and_ended(
    live: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(live.store), "purge", _killed)
        with pytest.raises(KeyboardInterrupt):
            forget(live, entity="card", key="person one", reason="request 20", caches=())
    assert "is still there, although decision 3 forgot it" in found(live)
    collect_garbage(live.store, now=datetime.now(UTC) + LATER)
    assert verify(live.store, live.keys).sound


def test_to_forget_needs_a_reason(live: Registry) -> None:
    with pytest.raises(RegistryError, match="needs a reason"):
        forget(live, entity="card", key="person one", reason="")


def _killed(store: Store, key: str) -> None:
    raise KeyboardInterrupt
