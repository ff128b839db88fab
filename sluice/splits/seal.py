"""The seal: the list of the test's rows, fixed before anybody is judged on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sluice import digests
from sluice.settings import UseCase
from sluice.splits.hashes import HASH, row_hashes
from sluice.splits.split import Split

FORMAT = 1


def seal(split: Split, use_case: UseCase) -> dict[str, Any]:
    """The manifest of the sealed test: a JSON document. `row_hashes(split.test["event_id"])` is stored beside it.

    `digest` names the set of rows alone: the same rows sealed again are the same seal, whatever a label was
    corrected to (`labels` tells) and whichever settings cut them (`settings` tells).
    """
    hashes = row_hashes(split.test.get_column("event_id").to_list())
    start, end = split.spans["test"]
    return {
        "format": FORMAT,
        "hash": HASH,
        "digest": digest_of(hashes),
        "count": len(hashes),
        "start": start.isoformat(),
        "end": end.isoformat(),
        "labels": digests.of_table(split.test.select("event_id", "label")),
        "settings": digests.of_json({"task": use_case.task, "split": use_case.split.model_dump(mode="json")}),
    }


def digest_of(hashes: npt.NDArray[np.uint64]) -> str:
    """SHA-256 of sorted hashes as little-endian bytes."""
    return digests.of_bytes(np.sort(hashes).astype("<u8").tobytes())
