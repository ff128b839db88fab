"""Versions and decisions: what is live, which moves are legal, what people have to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sluice import digests
from sluice.errors import ConflictError, IntegrityError, RegistryError, StoreError
from sluice.registry import Registry, Version
from sluice.storage import Store, blob_key

Add = Callable[[Registry, str], Version]


def promote(registry: Registry, version: Version, **more: object) -> None:
    champion = registry.champion()
    registry.settle("promoted", version=version.digest, against=champion and champion.digest, **more)  # type: ignore[arg-type]


def test_the_same_contents_are_the_same_version(registry: Registry, add: Add, tmp_path: Path) -> None:
    first, second = add(registry, "a"), add(registry, "a")
    assert first == second
    assert registry.versions() == [first.digest]
    assert first.digest == digests.of_json(first.manifest())
    assert add(registry, "b").digest != first.digest


def test_a_version_comes_back_as_it_was_added(registry: Registry, add: Add, tmp_path: Path) -> None:
    version = add(registry, "a")
    folder = registry.fetch(registry.version(version.digest[:8]), tmp_path / "out")
    assert (folder / "model.onnx").read_text() == "graph a"
    assert digests.of_file(folder / "version.json") == version.digest


def test_a_version_holds_no_rows_of_people(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"")
    with pytest.raises(RegistryError, match=r"tables of rows: scores\.parquet"):
        registry.add_version(tmp_path, {})


def test_a_version_file_cannot_leave_its_folder(registry: Registry, store: Store, tmp_path: Path) -> None:
    blob = store.put_blob(b"evil")
    version = Version("0" * 64, "fraud", {"../evil": blob}, {})
    with pytest.raises(IntegrityError, match="outside"):
        registry.fetch(version, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_changed_bytes_are_not_fetched(registry: Registry, add: Add, store: Store, tmp_path: Path) -> None:
    version = add(registry, "a")
    store.put(blob_key(version.files["model.onnx"]), b"other")
    with pytest.raises(IntegrityError, match="holds bytes with digest"):
        registry.fetch(version, tmp_path / "out")
    assert not (tmp_path / "out" / "model.onnx").exists()


def test_the_champion_is_what_the_log_says(registry: Registry, add: Add) -> None:
    a, b = add(registry, "a"), add(registry, "b")
    assert registry.champion() is None
    promote(registry, a)
    registry.settle("refused", version=b.digest, against=a.digest, reason="no better")
    assert registry.champion() == a
    promote(registry, b, evidence={"verdict.json": b"{}"}, figures={"gain": 0.01})
    assert registry.champion() == b
    assert [d.kind for d in registry.log()] == ["promoted", "refused", "promoted"]
    last = registry.log()[-1]
    assert (last.head, last.previous, last.figures) == (2, registry.log()[1].digest, {"gain": 0.01})
    assert registry.evidence(last, "verdict.json") == b"{}"


def test_a_decision_made_against_an_old_head_conflicts(registry: Registry, add: Add) -> None:
    a, b = add(registry, "a"), add(registry, "b")
    head = registry.head()
    promote(registry, a)
    with pytest.raises(ConflictError, match="made at 0"):
        registry.decide("promoted", version=b.digest, expected_head=head)


def test_the_gate_runs_again_only_when_the_champion_changed(registry: Registry, add: Add) -> None:
    a, b = add(registry, "a"), add(registry, "b")
    registry.record_opening("seal")
    registry.settle("promoted", version=a.digest, against=None)
    with pytest.raises(ConflictError, match="gate compared with none"):
        registry.settle("promoted", version=b.digest, against=None)
    registry.freeze(reason="audit")
    registry.settle("refused", version=b.digest, against=a.digest)


def test_openings_of_a_seal_are_counted_and_limited(registry: Registry) -> None:
    registry.record_opening("seal", limit=2)
    registry.record_opening("other", limit=2)
    registry.record_opening("seal", limit=2)
    with pytest.raises(RegistryError, match="opened 2 times, 2 are allowed"):
        registry.record_opening("seal", limit=2)
    assert (registry.openings("seal"), registry.openings("other")) == (2, 1)


@pytest.mark.parametrize("stop", ["freeze", "pin"])
def test_frozen_and_pinned_stop_promotion(registry: Registry, add: Add, stop: str) -> None:
    a, b, c = (add(registry, name) for name in "abc")
    promote(registry, a)
    registry.settle("awaiting-approval", version=c.digest, against=a.digest)
    getattr(registry, stop)(reason="christmas sales")
    with pytest.raises(RegistryError, match="christmas sales"):
        promote(registry, b)
    with pytest.raises(RegistryError, match="christmas sales"):
        registry.approve(c.digest, reason="looks good")
    assert "christmas sales" in str(registry.state().obstacle(b.digest))
    getattr(registry, f"un{stop}" if stop == "freeze" else "unpin")(reason="over")
    promote(registry, b)
    assert registry.champion() == b


def test_rollback_goes_to_the_version_before_and_keeps_it_there(registry: Registry, add: Add) -> None:
    a, b, c = (add(registry, name) for name in "abc")
    for version in (a, b, c):
        promote(registry, version)
    registry.rollback(reason="too many alarms")
    assert registry.champion() == b
    registry.rollback(reason="still")
    assert registry.champion() == a
    with pytest.raises(RegistryError, match="was live before"):
        registry.rollback(reason="more")
    with pytest.raises(RegistryError, match="rolled back before"):
        promote(registry, c)
    registry.settle("awaiting-approval", version=c.digest, against=a.digest)
    registry.approve(reason="the alarms were right")
    assert registry.champion() == c


def test_rollback_leaps_to_a_named_version_and_works_while_frozen(registry: Registry, add: Add) -> None:
    a, b, c = (add(registry, name) for name in "abc")
    for version in (a, b, c):
        promote(registry, version)
    registry.freeze(reason="incident")
    registry.rollback(a.digest[:10], reason="known good")
    assert registry.champion() == a
    with pytest.raises(RegistryError, match="not live before"):
        registry.rollback(b.digest, reason="no way forward")


def test_a_pinned_champion_is_not_rolled_back(registry: Registry, add: Add) -> None:
    for name in "ab":
        promote(registry, add(registry, name))
    registry.pin(reason="audit")
    with pytest.raises(RegistryError, match="pinned: audit"):
        registry.rollback(reason="nervous")


def test_approval_is_for_what_passed_against_this_champion(registry: Registry, add: Add) -> None:
    a, b, c = (add(registry, name) for name in "abc")
    with pytest.raises(RegistryError, match="0 versions"):
        registry.approve(reason="fine")
    with pytest.raises(RegistryError, match="does not await"):
        registry.approve(a.digest, reason="fine")
    registry.settle("awaiting-approval", version=a.digest, against=None)
    registry.settle("awaiting-approval", version=b.digest, against=None)
    with pytest.raises(RegistryError, match="2 versions"):
        registry.approve(reason="fine")
    registry.approve(a.digest, reason="fine")
    with pytest.raises(RegistryError, match="champion changed since"):
        registry.approve(b.digest, reason="fine")
    registry.settle("awaiting-approval", version=c.digest, against=a.digest)
    registry.settle("refused", version=c.digest, against=a.digest, reason="a person said no")
    with pytest.raises(RegistryError, match="does not await"):
        registry.approve(c.digest, reason="fine")


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (lambda r: r.unfreeze(reason="x"), "not frozen"),
        (lambda r: r.unpin(reason="x"), "not pinned"),
        (lambda r: r.pin(reason="x"), "no champion"),
        (lambda r: r.freeze(reason=" "), "needs a reason"),
        (lambda r: r.rollback(reason="x"), "was live before"),
        (lambda r: r.decide("promoted", version=None, expected_head=0), "has to name a version"),
        (lambda r: r.decide("promoted", version="f" * 64, expected_head=0), "no version"),
        (lambda r: r.decide("blessed", version=None, expected_head=0), "unknown kind"),
    ],
)
def test_illegal_moves_say_why_and_leave_no_trace(
    registry: Registry, move: Callable[[Registry], object], message: str
) -> None:
    with pytest.raises(RegistryError, match=message):
        move(registry)
    assert registry.log() == []


def test_a_name_that_is_no_name_is_refused(store: Store, clock: Callable[[], object]) -> None:
    for model, actor in (("../evil", "me"), ("", "me"), ("fraud", " ")):
        with pytest.raises(RegistryError):
            Registry(store, model, clock=clock, actor=actor)  # type: ignore[arg-type]


def test_a_hole_in_the_log_is_not_written_over(registry: Registry, add: Add, store: Store) -> None:
    for name in "abc":
        promote(registry, add(registry, name))
    store.delete("registry/fraud/log/00000002.json")
    again = Registry(store, "fraud", clock=registry._clock, actor="other")
    with pytest.raises(IntegrityError, match="misses entry 2"):
        again.champion()
    with pytest.raises(IntegrityError, match="misses entry 2"):
        registry.freeze(reason="x")


def test_a_changed_entry_is_noticed(registry: Registry, add: Add, store: Store) -> None:
    for name in "ab":
        promote(registry, add(registry, name))
    key = "registry/fraud/log/00000001.json"
    store.put(key, store.get(key).replace(b"tester", b"nobody"))
    with pytest.raises(IntegrityError, match=r"00000002\.json does not follow"):
        Registry(store, "fraud", clock=registry._clock, actor="other").champion()


def test_documents_of_a_later_release_are_refused(registry: Registry, add: Add, store: Store) -> None:
    promote(registry, add(registry, "a"))
    key = "registry/fraud/log/00000001.json"
    store.put(key, store.get(key).replace(b'"format":1', b'"format":2'))
    with pytest.raises(StoreError, match="has format 2; this release reads up to 1"):
        Registry(store, "fraud", clock=registry._clock, actor="other").champion()


def test_why_tells_the_story(registry: Registry, add: Add) -> None:
    assert registry.why()["text"] == "fraud has no champion."
    a, b = add(registry, "a"), add(registry, "b")
    promote(registry, a)
    verdict = b'{"format":1,"passed":true,"checks":[{"name":"champion","passed":true,"text":"AP +.02"}]}'
    promote(registry, b, evidence={"verdict.json": verdict})
    registry.pin(reason="audit until May")
    story = registry.why()
    assert (story["champion"], story["replaced"]) == (b.digest, a.digest)
    assert story["verdict"]["checks"][0]["name"] == "champion"
    for part in (b.digest[:12], a.digest[:12], "promoted by tester", "passed  champion: AP +.02", "audit until May"):
        assert part in story["text"]
    registry.unpin(reason="done")
    registry.rollback(reason="complaints")
    assert "rolled-back by tester (decision 5): complaints" in registry.why()["text"]
