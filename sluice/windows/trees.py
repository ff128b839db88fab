"""Sums and extremes over any stretch of an array, compiled by Numba: binary trees in arrays of twice its length.

Node i covers nodes 2i and 2i + 1, the leaves are n..2n. A stretch of leaves is read in O(log n), and a leaf may join
at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile at the first call, and keep the machine code beside the source for the next process.

    Where neither the source's folder nor the user's cache can be written (a locked container), Numba refuses to
    cache; then every process compiles anew.
    """
    try:
        return cast(Function, njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Function, njit(nogil=True)(function))


@compiled
def nothing(smallest: bool) -> int:
    """The extreme of no values."""
    return np.iinfo(np.int64).max if smallest else np.iinfo(np.int64).min


@compiled
def plant(tree: np.ndarray, leaves: np.ndarray, smallest: bool) -> None:
    """Fill a tree of extremes over n leaves: node i covers nodes 2i and 2i + 1, leaves are n..2n."""
    n = leaves.shape[0]
    tree[n : 2 * n] = leaves
    for i in range(n - 1, 0, -1):
        a, b = tree[2 * i], tree[2 * i + 1]
        tree[i] = min(a, b) if smallest else max(a, b)


@compiled
def join(tree: np.ndarray, leaf: int, value: int, additive: bool, smallest: bool) -> None:
    """Let one leaf of a tree of sums or of extremes take part."""
    i = leaf
    while i > 0:
        if additive:
            tree[i] += value
        else:
            tree[i] = min(tree[i], value) if smallest else max(tree[i], value)
        i >>= 1


@compiled
def total(tree: np.ndarray, n: int, left: int, right: int) -> int:
    """Sum of leaves left..right (right excluded)."""
    result = 0
    i, j = left + n, right + n
    while i < j:
        if i & 1:
            result += tree[i]
            i += 1
        if j & 1:
            j -= 1
            result += tree[j]
        i >>= 1
        j >>= 1
    return result


@compiled
def extreme(tree: np.ndarray, n: int, left: int, right: int, smallest: bool) -> int:
    """Smallest or largest of leaves left..right (right excluded)."""
    result = nothing(smallest)
    i, j = left + n, right + n
    while i < j:
        if i & 1:
            result = min(result, tree[i]) if smallest else max(result, tree[i])
            i += 1
        if j & 1:
            j -= 1
            result = min(result, tree[j]) if smallest else max(result, tree[j])
        i >>= 1
        j >>= 1
    return result
