"""Many writers at once: one wins, the others are told; on a folder and on a real MinIO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sluice.errors import ConflictError, RegistryError
from sluice.registry import Registry, Version, verify
from sluice.storage import Store

WRITERS = 64
Add = Callable[[Registry, str], Version]


def raced(action: Callable[[int], str]) -> Counter[str]:
    """The outcomes of 64 threads that start together."""
    barrier = Barrier(WRITERS)

    def attempt(number: int) -> str:
        barrier.wait()
        try:
            return action(number)
        except ConflictError:
            return "lost"

    with ThreadPoolExecutor(WRITERS) as pool:
        return Counter(pool.map(attempt, range(WRITERS)))


def test_of_64_decisions_against_one_head_one_wins(any_store: Store, clock: Callable[[], object], add: Add) -> None:
    first = Registry(any_store, "fraud", clock=clock, actor="first")  # type: ignore[arg-type]
    version = add(first, "a")

    def decide(number: int) -> str:
        registry = Registry(any_store, "fraud", clock=first._clock, actor=f"writer {number}")
        registry.decide("promoted", version=version.digest, expected_head=0)
        return "won"

    assert raced(decide) == {"won": 1, "lost": WRITERS - 1}
    assert first.head() == 1
    assert first.champion() == version
    assert verify(any_store).sound


def test_writers_that_differ_in_nothing_do_not_all_believe_they_won(
    any_store: Store, clock: Callable[[], object], add: Add
) -> None:
    first = Registry(any_store, "fraud", clock=lambda: clock.now, actor="same")  # type: ignore[attr-defined]
    version = add(first, "a")

    def decide(_: int) -> str:
        Registry(any_store, "fraud", clock=first._clock, actor="same").decide(
            "promoted", version=version.digest, expected_head=0
        )
        return "won"

    assert raced(decide)["won"] == 1


def test_a_loser_looks_again_and_no_opening_is_lost_or_over_the_limit(
    any_store: Store, clock: Callable[[], object]
) -> None:
    first = Registry(any_store, "fraud", clock=clock, actor="first")  # type: ignore[arg-type]

    def open_seal(number: int) -> str:
        registry = Registry(any_store, "fraud", clock=first._clock, actor=f"writer {number}")
        try:
            registry.record_opening("seal", limit=5)
        except RegistryError as error:
            return "lost" if isinstance(error, ConflictError) else "refused"
        return "opened"

    outcomes = raced(open_seal)
    assert outcomes["opened"] == 5
    assert first.openings("seal") == 5
    assert verify(any_store).sound
