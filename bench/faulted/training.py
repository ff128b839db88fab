"""A training that is stopped and whose checkpoint is torn."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from faulted.fault import Fault, require
from faulted.place import Place
from sluice.training.task import train_from_folders

EPOCHS = 3
NETWORK = {
    "width": 16,
    "blocks": 1,
    "learning_rate": 0.003,
    "batch_size": 2048,
    "max_epochs": EPOCHS,
    "patience": EPOCHS,
}


class _StoppedError(Exception):
    """The training is stopped here."""


def _torn(place: Place) -> str:
    place.champion()
    store = place.folder / "copies" / "checkpoints"
    shutil.rmtree(store, ignore_errors=True)
    candidates = [{"id": "constant", "kind": "constant"}, {"id": "network", "kind": "network", "params": NETWORK}]
    use_case = place.use_case(training__candidates=candidates, storage__url=str(store))
    parts = min((place.folder / "work" / "steps").glob("*/split/sealed")).parent
    epochs: list[int] = []

    def train(folder: Path, stop_after: int = 0) -> bytes:
        def progress(step: str, done: int, total: int, note: str = "") -> None:
            del total, note
            if step == "train":
                epochs.append(done)
            if step == "train" and done == stop_after:
                raise _StoppedError

        rows = {"train": parts / "train", "validation": parts / "validation"}
        train_from_folders(use_case, "network", folder=folder, progress=progress, **rows)
        return (folder / "model.onnx").read_bytes()

    whole = train(place.folder / "whole")
    with contextlib.suppress(_StoppedError):
        train(place.folder / "torn", stop_after=EPOCHS)
    kept = [path for path in (store / "checkpoints").rglob("*.npz") if path.is_file()]
    require(bool(kept), "there is no checkpoint")
    for path in kept:
        path.write_bytes(path.read_bytes()[:-200])
    epochs.clear()
    again = train(place.folder / "torn")
    require(again == whole, "the model is another")
    return f"passed over; trained from epoch {epochs[0]} again, the model is the same to the byte"


FAULTS = [Fault("a training killed and its checkpoint torn", "the same model as without", _torn)]
