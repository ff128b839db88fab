"""Steady requests to an endpoint from a thread of their own, until told to stop."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http import HTTPStatus
from itertools import cycle

from sluice.errors import RequestError
from sluice_serving.client import Client


class Load:
    """Sends bodies one after another, from the first again after the last. Use it as a context.

    Attributes:
        sent, failed: requests so far, and those that got no good answer.
    """

    def __init__(self, endpoint: str, model: str, bodies: Sequence[bytes]) -> None:
        self.sent = self.failed = 0
        self._endpoint, self._model, self._bodies = endpoint, model, bodies
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _send(self) -> None:
        client = Client(self._endpoint, self._model)
        for body in cycle(self._bodies):
            if self._done.is_set():
                break
            self.sent += 1
            try:
                client.predict(body)
            except RequestError as error:
                self.failed += 1
                # Where nobody answers at all there is no hurry.
                self._done.wait(0.05 if error.status == HTTPStatus.SERVICE_UNAVAILABLE else 0.0)
        client.close()
