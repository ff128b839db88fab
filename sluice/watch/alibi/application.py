"""The explainer's HTTP side: KServe's V1 `:explain`, health and metrics, as a plain ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from time import monotonic
from typing import Any

from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sluice.errors import RequestError
from sluice.watch.alibi.budget import Budget, BudgetSpentError
from sluice.watch.alibi.explaining import Explaining
from sluice.watch.alibi.metrics import ExplainerMetrics
from sluice.watch.alibi.predictor import is_ready

logger = logging.getLogger("sluice.explainer")
_DRAINED = 16
"""A body up to this many times the limit is read and thrown away, so that its sender can read our answer."""
_PROBE_SECONDS = 1.0


class Application:
    """What the routes do. One explanation at a time: the libraries draw from one random stream of the process."""

    def __init__(self, explaining: Explaining, predictor: str, metrics: ExplainerMetrics) -> None:
        self._explaining, self._predictor, self._counts = explaining, predictor, metrics
        self._turn = asyncio.Lock()
        self._probed, self._answers = float("-inf"), False

    def asgi(self) -> Starlette:
        """The application."""
        paths = {
            "/": self._live,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/v1/models/{model}": self._ready,
            "/v1/models": self._models,
            "/metrics": self._metrics,
        }
        explain = Route("/v1/models/{model}:explain", self._explain, methods=["POST"])
        routes = [explain, *(Route(path, endpoint, methods=["GET"]) for path, endpoint in paths.items())]
        handlers: Any = {RequestError: self._refuse, HTTPException: self._http_error, Exception: self._failed}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _explain(self, request: Request) -> Response:
        started = monotonic()
        self._check_model(request.path_params["model"])
        body = await self._body(request)
        budget = self._explaining.budget()
        try:
            await asyncio.wait_for(self._turn.acquire(), budget.left())
        except TimeoutError:
            raise BudgetSpentError(
                "seconds", "others were explained until the time was over", "ask again, or run more explainers"
            ) from None
        try:
            found = await run_in_threadpool(self._explained, body, budget)
        finally:
            self._turn.release()
            self._counts.calls.inc(budget.calls)
            self._counts.seconds.observe(monotonic() - started)
        self._counts.rows.inc(len(found))
        return JSONResponse(
            {
                "explanations": found,
                "method": self._explaining.settings["method"],
                "model_name": self._explaining.model,
                "model_version": self._explaining.version,
                "feature_names": list(self._explaining.schema.names),
                "calls": budget.calls,
            }
        )

    def _explained(self, body: bytes, budget: Budget) -> list[dict[str, Any]]:
        predictor = self._explaining.predictor(self._predictor, budget)
        try:
            rows = predictor.resolve(body)
            return [
                {"event_id": name, **self._explaining.explain(predictor, features, score)}
                for name, features, score in zip(rows.ids, rows.features, rows.scores, strict=True)
            ]
        finally:
            predictor.close()

    async def _body(self, request: Request) -> bytes:
        """The body, when it is a V1 body of not too many rows: what the rows hold is the predictor's to judge."""
        most, rows = int(self._explaining.settings["max_body"]), int(self._explaining.settings["max_rows"])
        parts, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > most * _DRAINED:
                break
            parts += [chunk] if size <= most else []
        if size > most:
            text = f"the body is larger than {most} bytes"
            raise RequestError(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "explain fewer rows at a time")
        body = b"".join(parts)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise RequestError("the body is no JSON", hint='send {"instances": [{…}]}, as to :predict') from None
        instances = document.get("instances") if isinstance(document, dict) else None
        if not isinstance(instances, list) or not instances:
            raise RequestError("instances: expected a list of objects", hint="the same as :predict takes")
        if len(instances) > rows:
            text = f"instances: expected at most {rows} rows, got {len(instances)}"
            hint = "send several requests, or raise explanations.max_rows"
            raise RequestError(text, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, hint)
        return body

    def _check_model(self, name: str) -> None:
        if name != self._explaining.model:
            raise RequestError(f"there is no model {name!a} here", HTTPStatus.NOT_FOUND, self._explaining.model)

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"models": [self._explaining.model]})

    async def _ready(self, request: Request) -> Response:
        if "model" in request.path_params:
            self._check_model(request.path_params["model"])
        now = monotonic()
        if now - self._probed >= _PROBE_SECONDS:
            self._answers = await run_in_threadpool(is_ready, self._predictor, self._explaining.model)
            self._probed = now
        status = HTTPStatus.OK if self._answers else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"name": self._explaining.model, "ready": self._answers}, status)

    async def _metrics(self, _: Request) -> Response:
        return PlainTextResponse(generate_latest(self._counts.registry).decode())

    async def _refuse(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        content = {"error": error.message, "hint": error.hint, "problems": getattr(error, "problems", [])}
        reason = "predictor" if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "request"
        if isinstance(error, BudgetSpentError):
            reason = content["budget"] = error.budget
        self._counts.refused.labels(reason).inc()
        if error.status == HTTPStatus.BAD_GATEWAY:
            logger.error("%s", error)
        return JSONResponse(content, int(error.status))

    async def _http_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        content = {"error": str(error.detail), "hint": "POST /v1/models/MODEL:explain", "problems": []}
        return JSONResponse(content, error.status_code, headers=error.headers)

    async def _failed(self, _: Request, error: Exception) -> Response:
        """What nobody foresaw. Nothing of a body goes out or into the log: it may be personal."""
        self._counts.refused.labels("fault").inc()
        content = {"error": f"the explainer failed: {type(error).__name__}", "hint": "its log says where"}
        return JSONResponse({**content, "problems": []}, HTTPStatus.INTERNAL_SERVER_ERROR)
