"""Sides by hash: a row's side depends on its own id (or its group's), so adding rows moves nobody.

That promise rules out exact stratification: a rank within the class changes when a row of the class is added.
Every class is cut by the same independent hashes, so of its n rows a share p is expected on a side with a standard
deviation of sqrt(p (1 - p) / n): 0.4 % for 10,000 rows at p = 0.2. A class that a part misses is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sluice.errors import DataError
from sluice.settings.split import GroupSplit, RandomSplit
from sluice.splits.hashes import shares_in_order

TRAIN, VALIDATION, TEST = 0, 1, 2


def sides(ids: Sequence[str], settings: RandomSplit | GroupSplit) -> npt.NDArray[np.int8]:
    """0 (train), 1 (validation) or 2 (test) for each id: int8 [n].

    Raises:
        DataError: validation and test together leave nothing to train on.
    """
    if settings.validation + settings.test >= 1:
        raise DataError(
            f"split.validation {settings.validation} and split.test {settings.test} leave no rows to train on",
            "make them smaller: together below 1",
        )
    share = shares_in_order(ids, settings.salt)
    side = np.full(len(share), TRAIN, dtype=np.int8)
    side[share < settings.test + settings.validation] = VALIDATION
    side[share < settings.test] = TEST
    return side
