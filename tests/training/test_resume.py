"""A training that was killed goes on from its last epoch and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sluice.settings.operation import Storage
from sluice.steps import Progress
from sluice.storage import Store, open_store
from sluice.training import train_candidate
from sluice.training.checkpoints import Checkpoints, State
from sluice.training.files import DOCUMENT, GRAPH
from training.small import NETWORK, rows, schema_of, use_case_of

LONG: dict[str, Any] = {**NETWORK, "max_epochs": 12, "patience": 12}


def train_small(folder: Path, store: Store | None, progress: Any = None) -> dict[str, Any]:
    use_case = use_case_of("binary", "network", LONG)
    train, validation = rows("binary", 1500, 1), rows("binary", 400, 2)
    candidate = use_case.training.candidates[1]
    arguments = (candidate, use_case, schema_of(train), train, validation, folder)
    return train_candidate(*arguments, store=store, progress=progress).document


def noting(epochs: list[int]) -> Progress:
    """A progress that notes the epochs that are done."""

    def note_epoch(step: str, done: int, total: int, note: str = "") -> None:
        assert (step, total) == ("train", 12), note
        epochs.append(done)

    return note_epoch


def store_at(folder: Path) -> Store:
    return open_store(Storage(url=str(folder)))


def slow_main(folder: str) -> None:
    """What the killed process runs: a pause an epoch, so that the kill meets it at work."""

    def pause(*_: Any) -> None:
        time.sleep(0.5)

    train_small(Path(folder, "killed"), store_at(Path(folder, "store")), pause)


def test_killed_and_resumed_is_the_uninterrupted_model(tmp_path: Path) -> None:
    whole = train_small(tmp_path / "whole", None)
    tests = Path(__file__).parents[1]
    code = f"from training.test_resume import slow_main; slow_main({str(tmp_path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tests)})
    store = store_at(tmp_path / "store")
    wait_for_epoch(store, 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / DOCUMENT).exists()
    epochs: list[int] = []
    resumed = train_small(tmp_path / "killed", store, noting(epochs))
    assert epochs[0] > 3
    assert epochs[-1] == 12
    assert (tmp_path / "killed" / GRAPH).read_bytes() == (tmp_path / "whole" / GRAPH).read_bytes()
    assert {**resumed, "run": 0} == {**whole, "run": 0}
    assert list(store.keys("checkpoints")) == []


def wait_for_epoch(store: Store, epoch: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while not any(int(key[-9:-4]) >= epoch for key in store.keys("checkpoints")):
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_other_settings_or_data_start_anew(tmp_path: Path) -> None:
    store = store_at(tmp_path / "store")

    class KilledError(Exception):
        pass

    def stop(step: str, done: int, total: int, note: str = "") -> None:
        if done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_small(tmp_path / "a", store, stop)
    assert len(list(store.keys("checkpoints"))) == 1
    epochs: list[int] = []
    use_case = use_case_of("binary", "network", {**LONG, "dropout": 0.2})
    train = rows("binary", 1500, 1)
    arguments = (use_case.training.candidates[1], use_case, schema_of(train), train, rows("binary", 400, 2), tmp_path)
    train_candidate(*arguments, store=store, progress=noting(epochs))
    assert epochs[0] == 1


def test_a_state_reads_back_without_pickle() -> None:
    state = State({"a/b": np.arange(3, dtype=np.float32), "c": np.array(2.0)}, {"epoch": 4, "curve": [0.5]})
    again = State.from_bytes(state.to_bytes())
    assert again.document == state.document
    assert all(np.array_equal(again.arrays[name], state.arrays[name]) for name in ("a/b", "c"))
    with pytest.raises(ValueError, match="allow_pickle"):
        State({"object": np.array([{}], dtype=object)}, {}).to_bytes()


def test_only_the_last_state_is_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(store_at(tmp_path), "d" * 64)
    assert checkpoints.latest() is None
    for epoch in range(1, 4):
        checkpoints.save(epoch, State({}, {"epoch": epoch}))
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.document == {"epoch": 3}
    assert len(list(checkpoints.store.keys())) == 1
    checkpoints.clear()
    assert checkpoints.latest() is None


@pytest.mark.parametrize(
    "tear", [lambda data: data[: len(data) // 2], lambda data: data[:0], lambda data: bytes(len(data))]
)
def test_a_torn_checkpoint_is_passed_over(tmp_path: Path, tear: Callable[[bytes], bytes]) -> None:
    checkpoints = Checkpoints(store_at(tmp_path), "d" * 64)
    checkpoints.save(1, State({"w": np.ones(100)}, {"epoch": 1}))
    whole = checkpoints.store.get(next(iter(checkpoints.store.keys())))
    checkpoints.store.put(f"checkpoints/{'d' * 64}/epoch-00002.npz", tear(whole))
    latest = checkpoints.latest()
    assert latest is not None
    assert latest.document == {"epoch": 1}
    checkpoints.save(2, State({}, {"epoch": 2}))
    again = checkpoints.latest()
    assert again is not None
    assert again.document == {"epoch": 2}
