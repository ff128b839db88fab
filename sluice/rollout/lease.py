"""Who is rolling a model out right now: a sign of life in the store, so that two do not move one endpoint.

It decides nothing: the log does. It only tells a rollout that goes on from one that was killed and may be taken up.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sluice import digests
from sluice.errors import ConflictError
from sluice.storage import Store


class Lease:
    """One process's claim on a model's rollout.

    Args:
        lasts: without a sign of life for this long, another may take over.
    """

    def __init__(self, store: Store, model: str, *, lasts: timedelta, clock: Callable[[], datetime]) -> None:
        self._store, self._folder = store, f"registry/{model}/rollout"
        self._key = f"{self._folder}/lease.json"
        self._lasts, self._clock = lasts, clock
        self._token = secrets.token_hex(8)

    def take(self) -> None:
        """Claim it.

        Raises:
            ConflictError: somebody else showed a sign of life just now.
        """
        held = self._held()
        if held is not None and held[0] != self._token and self._clock() - held[1] < self._lasts:
            raise ConflictError(
                f"a rollout is under way: its last sign of life was at {held[1]:%H:%M:%S}",
                "wait for its end, or stop it with `sluice freeze --reason …`",
            )
        self._write()

    def renew(self) -> None:
        """Show a sign of life.

        Raises:
            ConflictError: somebody else has taken over.
        """
        held = self._held()
        if held is None or held[0] != self._token:
            raise ConflictError("somebody else has taken this rollout over", "it goes on there: see `sluice why`")
        self._write()

    def release(self) -> None:
        """Let the next one begin at once. Does nothing where somebody else has taken over."""
        held = self._held()
        if held is not None and held[0] == self._token:
            self._store.delete(self._key)

    def _held(self) -> tuple[str, datetime] | None:
        # Asked for a key that is not there, S3 tells so only to who may list the whole bucket.
        if self._key not in self._store.keys(self._folder):
            return None
        document = json.loads(self._store.get(self._key))
        return str(document["token"]), datetime.fromisoformat(document["time"])

    def _write(self) -> None:
        document = {"format": 1, "token": self._token, "time": self._clock().isoformat()}
        self._store.put(self._key, digests.canonical_json(document))
