"""Two processes over gloo train what one does, stop early like it, go on after a kill, and say why they cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sluice.errors import MemoryPlanError
from sluice.settings import UseCase
from sluice.steps import silent
from sluice.storage import open_store
from sluice.training.files import DOCUMENT, GRAPH
from sluice.training.task import read_scores, train_from_folders
from training.split_folders import PLAIN, folders_in, network_case

TOLERANCE = 2e-4
"""Largest difference of two scores: float32 sums in another order, after a dozen epochs."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Train and validation rows."""
    return folders_in(tmp_path_factory.mktemp("rows"))


def use_case_of(store: Path, params: dict[str, Any], search: Any = None, **training: Any) -> UseCase:
    return network_case({"url": str(store)}, params, search, **training)


def trained(use_case: UseCase, folders: dict[str, Path], folder: Path, progress: Any = silent) -> dict[str, Any]:
    train_from_folders(use_case, "it", **folders, folder=folder, progress=progress)
    found: dict[str, Any] = json.loads((folder / DOCUMENT).read_text())
    return found


TWO = {"engine": "torchrun", "processes": 2}


SEARCH = {"trials": 2, "ranges": {"learning_rate": {"type": "float", "low": 0.001, "high": 0.05, "log": True}}}


@pytest.mark.timeout(900)
def test_two_processes_give_the_result_of_one(folders: dict[str, Path], tmp_path: Path) -> None:
    """A search of two trials, each with its early stopping."""
    one = trained(use_case_of(tmp_path / "a", PLAIN, SEARCH), folders, tmp_path / "one")
    epochs: list[int] = []
    use_case = use_case_of(tmp_path / "b", PLAIN, SEARCH, distributed=TWO)
    two = trained(use_case, folders, tmp_path / "two", lambda *told: epochs.append(told[1]))
    assert two["notes"] == one["notes"]
    assert one["notes"]["epochs"] < PLAIN["max_epochs"], "early stopping is part of what is compared"
    assert two["memory"]["cards"] == 2
    np.testing.assert_allclose(two["curves"]["validation"], one["curves"]["validation"], atol=5e-4)
    np.testing.assert_allclose(read_scores(tmp_path / "two"), read_scores(tmp_path / "one"), atol=TOLERANCE)
    assert [trial["params"] for trial in two["search"]] == [trial["params"] for trial in one["search"]]
    assert epochs
    assert list(open_store(use_case.storage).keys("checkpoints")) == []


@pytest.mark.timeout(900)
def test_a_killed_process_is_started_again_and_the_model_is_the_same(folders: dict[str, Path], tmp_path: Path) -> None:
    """All start again from the last checkpoint; with dropout, the bytes agree."""
    params = {**PLAIN, "dropout": 0.1, "max_epochs": 10, "patience": 10}
    trained(use_case_of(tmp_path / "a", params, distributed=TWO), folders, tmp_path / "whole")
    use_case = use_case_of(tmp_path / "b", params, distributed=TWO)
    killed: list[int] = []

    def kill_once(step: str, done: int, total: int, note: str = "") -> None:
        if done >= 2 and not killed:
            killed.append(workers()[-1])
            os.kill(killed[0], signal.SIGKILL)

    trained(use_case, folders, tmp_path / "again", kill_once)
    assert killed
    assert (tmp_path / "again" / GRAPH).read_bytes() == (tmp_path / "whole" / GRAPH).read_bytes()


def workers() -> list[int]:
    """Ids of the processes that train below this one."""
    below, found = {os.getpid()}, []
    for line in subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]:
        pid, parent, command = line.split(None, 2)
        if int(parent) in below:
            below.add(int(pid))
            if "sluice.training.worker" in command and "torch.distributed.run" not in command:
                found.append(int(pid))
    return found


def test_what_stops_the_first_process_is_told_here(folders: dict[str, Path], tmp_path: Path) -> None:
    tiny = use_case_of(tmp_path / "b", PLAIN, distributed=TWO, memory={"card": 10, "reserve": 0.0})
    with pytest.raises(MemoryPlanError, match="of the card") as told:
        trained(tiny, folders, tmp_path / "two")
    assert "training.memory.over_budget" in told.value.hint
    assert not (tmp_path / "two" / DOCUMENT).exists()
