"""64-bit names of rows: what decides a row's side, what the seal lists, what the gate compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

HASH = "blake2b-64"
"""Name of the hash, written into every manifest that lists hashes."""


def row_hashes(ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The hashes of event ids, sorted: uint64 [len(ids)], the first 8 bytes (little-endian) of a BLAKE2b each."""
    return np.sort(hashes_in_order(ids))


def hashes_in_order(ids: Iterable[str], salt: str = "") -> npt.NDArray[np.uint64]:
    """The hash of each id at its place: uint64 [n]. Another salt gives independent hashes."""
    start = blake2b(salt.encode(), digest_size=8) if salt else blake2b(digest_size=8)

    def one(identifier: str) -> bytes:
        state = start.copy()
        state.update(identifier.encode())
        return state.digest()

    return np.frombuffer(b"".join(map(one, ids)), dtype="<u8").astype(np.uint64)


def shares_in_order(ids: Iterable[str], salt: str) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each id that depends on nothing but the id and the salt: float64 [n]."""
    return (hashes_in_order(ids, salt + "\0") >> np.uint64(11)).astype(np.float64) / 2.0**53
