"""The real predictor over HTTP: events to features once, then composed vectors to scores."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from sluice.errors import RequestError
from sluice.features.schema import COMPOSED
from sluice.watch.alibi.budget import Budget

Floats = npt.NDArray[np.float64]
_HEADERS = {"Content-Type": "application/json"}
_NUMBER_BYTES = 26
"""A number of a vector in JSON, at most, with its comma."""


class RefusedError(RequestError):
    """The predictor refuses the rows to explain; `problems` are its own."""

    def __init__(self, message: str, status: HTTPStatus, hint: str, problems: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(message, status, hint)
        self.problems = list(problems)


@dataclass(frozen=True)
class Resolved:
    """Rows as the predictor saw them: ids, float64 [n x features] (NaN: missing), float64 [n] or [n x classes]."""

    ids: list[str | None]
    features: Floats
    scores: Floats


class Predictor:
    """One connection to a version's server, within a budget. Not for several threads at once.

    Args:
        address: http://host:port.
        limits: `model`, `version`, `names` of the features, `batch` (vectors a call), `max_batch` and `max_body` of the
            server.
    """

    def __init__(self, address: str, limits: Mapping[str, Any], budget: Budget) -> None:
        parts = urlsplit(address)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = make(parts.hostname or "", parts.port)
        self._address, self._path, self._limits, self.budget = address, parts.path.rstrip("/"), limits, budget
        width = max(1, len(limits["names"]))
        fitting = int(limits["max_body"]) // (width * _NUMBER_BYTES + 2)
        self._batch = max(1, min(int(limits["batch"]), int(limits["max_batch"]), fitting))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def resolve(self, body: bytes) -> Resolved:
        """The features and scores of the events in a V1 body, as `:predict` answers it.

        Raises:
            RefusedError: the predictor refuses it, in its words. RequestError: it does not answer (502).
        """
        status, answer = self._post(self._limits["model"], body)
        if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            said = str(answer.get("error", "it does not say why"))
            raise RefusedError(said, HTTPStatus(status), str(answer.get("hint", "")), answer.get("problems", []))
        self._check(status, answer)
        rows = answer["predictions"]
        features = np.array([row["features"] for row in rows], dtype=np.float64)
        return Resolved([row["event_id"] for row in rows], features, _scores(rows))

    def score(self, vectors: Floats) -> Floats:
        """Scores of composed vectors [n x features]: float64 [n] or [n x classes].

        Raises:
            BudgetSpentError: they would cost more than is left. RequestError: the predictor does not answer (502).
        """
        parts = [self._score(vectors[start : start + self._batch]) for start in range(0, len(vectors), self._batch)]
        return np.concatenate(parts)

    def _score(self, vectors: Floats) -> Floats:
        rows = [[None if math.isnan(value) else value for value in row] for row in vectors.tolist()]
        body = json.dumps({"instances": rows}, separators=(",", ":")).encode()
        status, answer = self._post(f"{self._limits['model']}{COMPOSED}", body)
        self._check(status, answer)
        return _scores(answer["predictions"])

    def _post(self, model: str, body: bytes) -> tuple[int, dict[str, Any]]:
        timeout = self.budget.spend()
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        try:
            self._connection.request("POST", f"{self._path}/v1/models/{model}:predict", body, _HEADERS)
            response = self._connection.getresponse()
            return response.status, _document(response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            # A timeout is the budget's end, which says so itself.
            self.budget.left()
            text = f"the predictor {self._address} does not answer: {error or type(error).__name__}"
            raise RequestError(text, HTTPStatus.BAD_GATEWAY, "see whether its server runs") from None

    def _check(self, status: int, answer: Mapping[str, Any]) -> None:
        if status != HTTPStatus.OK:
            hint = "see the server's log"
            if status == HTTPStatus.NOT_FOUND:
                hint = f"a server of this release answers to {self._limits['model']}{COMPOSED}, too: start it anew"
            said = answer.get("error", "nothing that can be read")
            raise RequestError(f"the predictor answered {status}: {said}", HTTPStatus.BAD_GATEWAY, hint)
        version = answer.get("model_version")
        if version != self._limits["version"]:
            raise RequestError(
                f"the predictor answers version {str(version)[:12]}, "
                f"and the background here is version {self._limits['version'][:12]}'s",
                HTTPStatus.SERVICE_UNAVAILABLE,
                "start the explainer anew: it fetches what belongs to the version",
            )


def is_ready(address: str, model: str, timeout: float = 2.0) -> bool:
    """Whether the predictor answers to its second name."""
    parts = urlsplit(address)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/v1/models/{model}{COMPOSED}")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _scores(rows: Sequence[Mapping[str, Any]]) -> Floats:
    return np.array([row["score"] for row in rows], dtype=np.float64)


def _document(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
