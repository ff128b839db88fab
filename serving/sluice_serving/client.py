"""The smallest client of an endpoint: one kept-alive connection, V1, bytes in and a document out."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

from sluice.errors import RequestError

_HEADERS = {"Content-Type": "application/json"}


class Client:
    """One connection to `endpoint` (http://host:port). Not for several threads at once."""

    def __init__(self, endpoint: str, model: str, timeout: float = 30.0) -> None:
        address = urlsplit(endpoint)
        self._endpoint = endpoint
        self._path = f"{address.path.rstrip('/')}/v1/models/{model}:predict"
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)

    def predict(self, body: bytes) -> dict[str, Any]:
        """The answer to a V1 body.

        Raises:
            RequestError: the endpoint refuses (with its status and message), or does not answer (503).
        """
        try:
            self._connection.request("POST", self._path, body, _HEADERS)
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RequestError(
                f"{self._endpoint} does not answer: {error or type(error).__name__}",
                HTTPStatus.SERVICE_UNAVAILABLE,
                "check that the server runs: `sluice serve` starts one",
            ) from None
        if response.status != HTTPStatus.OK:
            raise RequestError(
                f"{self._endpoint} answered {response.status}: {_reason(data)}", HTTPStatus(response.status)
            )
        answer: dict[str, Any] = orjson.loads(data)
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _reason(data: bytes) -> str:
    try:
        return str(orjson.loads(data)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return repr(data[:200])
