"""The drift server's HTTP side: `POST /models/<model>` takes an event, as the ledger's receiver does."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sluice.errors import RequestError
from sluice.payloads.callers import Callers
from sluice.payloads.events import MalformedError
from sluice.payloads.receiving import CHALLENGE, authorization_of, checked, is_about_no_event, receive_event
from sluice.watch.alibi.drift_metrics import DriftMetrics
from sluice.watch.alibi.online import Online
from sluice.watch.alibi.watching import Watching

logger = logging.getLogger("sluice.drift")


class DriftApplication:
    """What the routes do. Outliers name people's events: who reads them needs a token, as who writes does."""

    def __init__(self, online: Online, watching: Watching, callers: Callers, metrics: DriftMetrics) -> None:
        self._online, self._watching, self._callers, self._counts = online, watching, callers, metrics

    def asgi(self) -> Starlette:
        """The application."""
        paths = {
            "/": self._health,
            "/v2/health/live": self._health,
            "/v2/health/ready": self._health,
            "/v1/models/{model}/drift": self._drift,
            "/v1/models/{model}/outliers": self._outliers,
            "/metrics": self._metrics,
        }
        take = Route("/models/{model}", self._take, methods=["POST"])
        routes = [take, *(Route(path, endpoint, methods=["GET"]) for path, endpoint in paths.items())]
        handlers: Any = {RequestError: self._refuse, HTTPException: self._http_error, Exception: self._failed}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _take(self, request: Request) -> Response:
        model, headers = request.path_params["model"], request.scope["headers"]
        largest = int(self._online.settings["max_event"])
        _, event = await receive_event(model, headers, request.receive, self._callers, largest)
        self._check_model(model)
        if is_about_no_event(model, event):
            self._counts.of(self._counts.events, outcome="ignored").inc()
        else:
            self._watching.put(event, checked(model, event, self._online.skew))
        return Response()

    async def _drift(self, request: Request) -> Response:
        self._check_model(request.path_params["model"])
        return JSONResponse(self._watching.document())

    async def _outliers(self, request: Request) -> Response:
        model = request.path_params["model"]
        self._callers.name_of(authorization_of(request.scope["headers"]), model)
        self._check_model(model)
        about = {"model": self._online.model, "version": self._online.version}
        return JSONResponse({**about, "since": self._watching.since.isoformat(), **self._watching.outliers()})

    def _check_model(self, model: str) -> None:
        if model != self._online.model:
            raise RequestError(f"there is no model {model!a} here", HTTPStatus.NOT_FOUND, self._online.model)

    async def _health(self, _: Request) -> Response:
        status = HTTPStatus.OK if self._watching.alive else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "alive" if self._watching.alive else "stopped"}, status)

    async def _metrics(self, _: Request) -> Response:
        return PlainTextResponse(generate_latest(self._counts.registry).decode())

    async def _refuse(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        if isinstance(error, MalformedError):
            self._counts.of(self._counts.malformed, reason=error.reason).inc()
        self._counts.of(self._counts.refused, status=str(int(error.status))).inc()
        headers = {"WWW-Authenticate": CHALLENGE} if error.status == HTTPStatus.UNAUTHORIZED else None
        content = {"error": error.message, "hint": error.hint, "problems": []}
        return JSONResponse(content, int(error.status), headers=headers)

    async def _http_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        content = {"error": str(error.detail), "hint": "POST events to /models/MODEL", "problems": []}
        return JSONResponse(content, error.status_code, headers=error.headers)

    async def _failed(self, _: Request, error: Exception) -> Response:
        """What nobody foresaw. Nothing of a body goes out or into the log: it may be personal."""
        self._counts.of(self._counts.failures).inc()
        content = {"error": f"the drift server failed: {type(error).__name__}", "hint": "its log says where"}
        return JSONResponse({**content, "problems": []}, HTTPStatus.INTERNAL_SERVER_ERROR)
