"""The model behind the endpoint: look up, compose, score, answer. It reads state and never writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from time import monotonic
from typing import Any, Protocol

import numpy as np
from kserve import InferRequest, InferResponse, Model

from sluice.errors import RequestError, SluiceError
from sluice.export.graph import Scorer
from sluice.features.lookup import Requests
from sluice.features.online import Composed
from sluice.settings.use_case import UseCase
from sluice_serving import tensors
from sluice_serving.answers import Identity, Scored, joined, v1_answer
from sluice_serving.metrics import Metrics
from sluice_serving.requests import InvalidRequestError, RequestReader

_TURN = 32
"""Rows worked on before other requests get their turn: about 13 ms of CPU with SQLite."""

_PROBE_SECONDS = 1.0


def silent(_: str) -> None:
    """Says nothing."""


class Composer(Protocol):
    """What the server needs of `OnlineFeatures`."""

    def compose(self, requests: Requests) -> Composed:
        """Features of requests from state."""


class SluiceModel(Model):  # type: ignore[misc]
    """A verified version, as KServe's server runs it.

    One row takes under a millisecond of Python that holds the interpreter's lock: in a thread it would hold the event
    loop up just the same, so it is worked on in the loop. A batch gives others their turn after every 32 rows.
    """

    def __init__(
        self,
        use_case: UseCase,
        identity: Identity,
        online: Composer,
        graph: Scorer,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        pseudonym_key: bytes | None = None,
        seconds: Callable[[], float] = monotonic,
        say: Callable[[str], None] = silent,
    ) -> None:
        super().__init__(identity.model)
        self.identity, self.metrics = identity, metrics
        self.reader = RequestReader(use_case, pseudonym_key)
        self._use_case, self._online, self.graph = use_case, online, graph
        self._clock, self._seconds, self._say = clock, seconds, say
        self._probed, self._answers = float("-inf"), False
        self.why_not_ready = ""

    async def healthy(self) -> bool:
        """Whether graph and online store answer; asked at most once a second, since KServe asks at every request."""
        now = self._seconds()
        if now - self._probed >= _PROBE_SECONDS:
            self._answers, self._probed = self._probe(), now
            self._say(f"not ready: {self.why_not_ready}" if self.why_not_ready else "")
        return bool(self.ready) and self._answers

    async def predict(
        self,
        payload: Any,
        headers: Any = None,  # noqa: ARG002  KServe's signature
        response_headers: Any = None,  # noqa: ARG002
    ) -> dict[str, Any] | InferResponse:
        """Scores a V1 body or a V2 request.

        Raises:
            RequestError: the request is wrong, or the settings refuse its unknown or stale entities.
        """
        try:
            if isinstance(payload, InferRequest):
                scored = await self._score(tensors.read_v2(self.reader, payload))
                always = self._use_case.payloads.evidence == "always"
                return tensors.v2_answer(self.identity, scored, payload, self._clock(), always=always)
            return v1_answer(self.identity, await self._score(self.reader.read_v1(payload)), self._clock())
        except RequestError as error:
            self.metrics.refused(error)
            raise

    async def _score(self, requests: Requests) -> Scored:
        count = len(requests.event_id)
        parts = []
        for start in range(0, count, _TURN):
            if start:
                await asyncio.sleep(0)
            parts.append(self._score_now(requests if count <= _TURN else _part(requests, start, start + _TURN)))
        scored = joined(parts)
        self._refuse(scored)
        self.metrics.scored(scored)
        return scored

    def _score_now(self, requests: Requests) -> Scored:
        composed = self._online.compose(requests)
        scores = self.graph.score(composed.matrix)
        return Scored(
            list(requests.event_id),
            scores,
            composed.matrix,
            composed.unknown,
            composed.stale,
            composed.ahead,
            composed.repeated,
        )

    def _refuse(self, scored: Scored) -> None:
        serving = self._use_case.serving
        if serving.unknown_entity == "refuse" and any(scored.unknown):
            text = "is not known to the online store, and serving.unknown_entity is refuse"
            raise InvalidRequestError(_flagged(scored.unknown, text), reason="unknown")
        if serving.stale == "refuse" and any(scored.stale):
            text = "has state that is stale, and serving.stale is refuse"
            raise InvalidRequestError(_flagged(scored.stale, text), HTTPStatus.CONFLICT, "stale")

    def _probe(self) -> bool:
        try:
            self._score_now(probe(self._use_case))
        except (SluiceError, OSError) as error:
            self.why_not_ready = str(error)
            return False
        self.why_not_ready = ""
        return True

    def get_input_types(self) -> list[dict[str, Any]]:
        """V2 metadata: the tensors that a request holds."""
        return tensors.input_types(self.reader)

    def get_output_types(self) -> list[dict[str, Any]]:
        """V2 metadata: the tensors that an answer holds."""
        return tensors.output_types(self.identity)


def probe(use_case: UseCase) -> Requests:
    """A request that no event makes: its keys are empty, so it can only read."""
    columns = use_case.data.columns
    values = {name: [None] if v.type == "category" else np.full(1, np.nan) for name, v in columns.values.items()}
    return Requests([""], np.zeros(1, dtype=np.int64), {name: [""] for name in columns.entities}, values)


def _part(requests: Requests, start: int, stop: int) -> Requests:
    return Requests(
        requests.event_id[start:stop],
        requests.event_time_us[start:stop],
        {name: keys[start:stop] for name, keys in requests.entities.items()},
        {name: values[start:stop] for name, values in requests.values.items()},
    )


def _flagged(flags: Any, text: str) -> list[tuple[int | None, str, str]]:
    return [(row, entity, text) for row, entities in enumerate(flags) for entity in entities]
