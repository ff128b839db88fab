"""Any sequence of decisions keeps the registry's promises."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sluice.errors import RegistryError
from sluice.registry import Registry, verify
from sluice.registry.moves import replay
from sluice.registry.state import State
from sluice.settings.operation import Storage
from sluice.storage import open_store

NAMES = st.sampled_from("abcd")


class Moves(RuleBasedStateMachine):
    """Decisions in any order, legal or not, against a plain model of what they should do."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Storage(url=f"{self.folder.name}/store"))
        self.time = datetime(2026, 1, 1, tzinfo=UTC)
        self.registry = self.opened()
        self.versions = {name: self.added(name) for name in "abcd"}
        self.stopped: set[str] = set()
        self.was_live: list[str] = []

    def opened(self) -> Registry:
        return Registry(self.store, "fraud", clock=self.tick, actor="tester")

    def tick(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def added(self, name: str) -> str:
        folder = Path(self.folder.name) / name
        folder.mkdir()
        (folder / "model.onnx").write_text(name)
        return self.registry.add_version(folder, {}).digest

    def teardown(self) -> None:
        self.folder.cleanup()

    def tried(self, kind: str, name: str | None = None) -> bool:
        version = None if name is None else self.versions[name]
        try:
            self.registry.decide(kind, version=version, expected_head=self.registry.head(), reason="because")
        except RegistryError:
            return False
        return True

    @rule(name=NAMES, kind=st.sampled_from(["promoted", "approved"]))
    def goes_live(self, name: str, kind: str) -> None:
        before = self.registry.state()
        if self.tried(kind, name):
            assert not self.stopped, "promoted although pinned or frozen"
            assert self.versions[name] != before.champion
            assert kind == "promoted" or self.versions[name] in before.awaiting
            self.was_live.append(self.versions[name])
        else:
            assert self.registry.state() == before

    @rule(name=NAMES, kind=st.sampled_from(["refused", "awaiting-approval", "opened"]))
    def is_judged(self, name: str, kind: str) -> None:
        champion = self.registry.state().champion
        self.tried(kind, name)
        assert self.registry.state().champion == champion

    @rule(name=NAMES)
    def is_rolled_back(self, name: str) -> None:
        earlier = self.registry.state().live[:-1]
        done = self.tried("rolled-back", name)
        assert done == (self.versions[name] in earlier and "pinned" not in self.stopped)
        if done:
            assert self.registry.state().champion == self.versions[name]

    @rule(kind=st.sampled_from(["frozen", "unfrozen", "unpinned"]))
    def is_stopped_or_let_go(self, kind: str) -> None:
        plain = kind.removeprefix("un")
        assert self.tried(kind) == ((plain in self.stopped) == (kind != plain))
        (self.stopped.discard if kind != plain else self.stopped.add)(plain)

    @rule()
    def is_pinned(self) -> None:
        champion = self.registry.state().champion
        name = next((name for name, digest in self.versions.items() if digest == champion), "a")
        if self.tried("pinned", name):
            assert champion is not None
            assert "pinned" not in self.stopped
            self.stopped.add("pinned")

    @precondition(lambda self: self.registry.head() > 0)
    @rule()
    def a_late_writer_loses(self) -> None:
        try:
            self.registry.decide("refused", version=self.versions["a"], expected_head=self.registry.head() - 1)
        except RegistryError as error:
            assert type(error).__name__ == "ConflictError"
        else:
            raise AssertionError("a decision against an old head went through")

    @invariant()
    def there_is_one_champion_or_none_and_everyone_reads_the_same(self) -> None:
        state: State = self.opened().state()
        assert state == self.registry.state() == replay(self.registry.log())
        assert state.champion is None or state.champion in self.was_live
        assert {name for name in ("pinned", "frozen") if getattr(state, name)} == self.stopped

    @invariant()
    def the_chain_holds(self) -> None:
        assert verify(self.store).problems == ()


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
