"""KServe's server with our rules: who may ask what, how large, and how a refusal reads."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from kserve import Model, ModelServer
from kserve.errors import InvalidInput
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.server import RESTServer, metrics_handler
from kserve.protocol.rest.v1_endpoints import V1Endpoints
from kserve.protocol.rest.v2_datamodels import (
    InferenceRequest,
    InferenceResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
)
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sluice.errors import FeatureError, RequestError, SluiceError, StoreError
from sluice_serving.leaving import LeavingServer
from sluice_serving.limits import Limits
from sluice_serving.model import SluiceModel
from sluice_serving.openapi import describe
from sluice_serving.payloads.sending import PayloadLogger, PayloadSender

logger = logging.getLogger("sluice.serving")


class VerifiedDataPlane(DataPlane):  # type: ignore[misc]
    """KServe's data plane; bodies that cannot be decoded are the caller's mistake, whatever raised."""

    leaving: Callable[[], bool] = staticmethod(lambda: False)

    async def ready(self) -> bool:
        """The server is ready when every model is, and while it is not about to stop."""
        if self.leaving():
            return False
        models = self.model_registry.get_models().values()
        return all([await model.healthy() for model in models])

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        """Whether a model is ready. KServe sets the flag for a request's sake: requests are answered to the end."""
        if self.leaving() and not disable_predictor_health_check:
            return False
        return bool(await super().model_ready(model_name, disable_predictor_health_check))

    def decode(self, body: Any, headers: Any, *args: Any, **kwargs: Any) -> Any:
        """KServe's decoding, where broken cloud events and binary tensors are 400 too."""
        try:
            decoded, attributes = super().decode(body, headers, *args, **kwargs)
            # KServe leaves bodies of other content types as they are, "application/json; charset=utf-8" among them.
            return (orjson.loads(decoded) if isinstance(decoded, bytes) else decoded), attributes
        except InvalidInput:
            raise
        except Exception as error:
            raise InvalidInput(f"the body cannot be read: {type(error).__name__}") from None


class UnversionedV2(V2Endpoints):  # type: ignore[misc]
    """KServe's V2 endpoints without its `model_version` parameter, which it only answers with 501."""

    async def model_metadata(self, model_name: str) -> ModelMetadataResponse:
        """Names, datatypes and shapes of inputs and outputs."""
        return await super().model_metadata(model_name)

    async def model_ready(self, model_name: str) -> ModelReadyResponse:
        """Whether the model answers."""
        return await super().model_ready(model_name)

    async def infer(
        self, raw_request: Request, raw_response: Response, model_name: str, request_body: InferenceRequest | bytes
    ) -> InferenceResponse | Response:
        """Scores."""
        return await super().infer(raw_request, raw_response, model_name, request_body)


class RestServer(RESTServer):  # type: ignore[misc]
    """KServe's REST server on a socket of ours, with our refusals, limits and description."""

    model: SluiceModel
    linger: float = 0.0
    sender: PayloadSender | None = None

    def create_application(self) -> None:
        """Builds a fresh application; KServe's own is one module-wide object."""
        app = FastAPI(title=f"Sluice: {self.model.name}", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
        self._register_endpoints(app)
        self._add_exception_handlers(app)
        app.add_exception_handler(RequestValidationError, _invalid_body)
        app.add_exception_handler(InvalidInput, _invalid_input)
        app.add_exception_handler(HTTPException, _http_error)
        for kind in (RequestError, FeatureError, StoreError):
            app.add_exception_handler(kind, _refused)
        generic = app.openapi()
        description = describe(generic, self.model)
        app.openapi = lambda: description  # type: ignore[method-assign]
        logged = app if self.sender is None else PayloadLogger(app, self.sender)
        self.config.app = Limits(logged, self.model, self.dataplane.leaving)

    def _register_endpoints(self, app: FastAPI) -> None:
        """KServe's endpoints but for explain, load and unload: whoever loads a version verifies it."""
        v1, v2 = V1Endpoints(self.dataplane), UnversionedV2(self.dataplane)
        for path, endpoint, method in (
            ("/", self.dataplane.live, "GET"),
            ("/metrics", metrics_handler, "GET"),
            ("/v1/models", v1.models, "GET"),
            ("/v1/models/{model_name}", v1.model_ready, "GET"),
            ("/v1/models/{model_name}:predict", v1.predict, "POST"),
            ("/v2", v2.metadata, "GET"),
            ("/v2/health/live", v2.live, "GET"),
            ("/v2/health/ready", v2.ready, "GET"),
            ("/v2/models", v2.models, "GET"),
            ("/v2/models/{model_name}", v2.model_metadata, "GET"),
            ("/v2/models/{model_name}/ready", v2.model_ready, "GET"),
            ("/v2/models/{model_name}/infer", v2.infer, "POST"),
        ):
            app.add_api_route(path, endpoint, methods=[method], response_model=None)

    async def start(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until SIGTERM or SIGINT; requests in flight are answered first."""
        self._server = LeavingServer(self.config, self.linger)
        self.dataplane.leaving = lambda: self._server.leaving
        self.create_application()
        await self._server.serve(sockets=sockets)


class Server(ModelServer):  # type: ignore[misc]
    """KServe's model server on one socket: REST in one process (a version is one process; no gRPC)."""

    def __init__(
        self, listener: socket.socket, grace_seconds: int, linger: float = 0.0, sender: PayloadSender | None = None
    ) -> None:
        super().__init__(
            http_port=listener.getsockname()[1],
            workers=1,
            enable_grpc=False,
            enable_latency_logging=False,
            grace_period=grace_seconds,
        )
        self._listener, self._linger, self._sender = listener, linger, sender
        self.dataplane = VerifiedDataPlane(model_registry=self.registered_models)

    def start(self, model: SluiceModel, *others: Model) -> None:
        """Blocks until the server is told to stop. `others`: the same version under other names."""
        self._register_and_check_atleast_one_model_is_ready([model, *others])
        rest = RestServer(
            "", self.dataplane, self.model_repository_extension, self.http_port, grace_period=self.grace_period
        )
        rest.model, rest.linger, rest.sender = model, self._linger, self._sender
        rest.config.access_log = False
        self._rest_server = rest
        asyncio.run(self._run(rest))

    async def _run(self, rest: RestServer) -> None:
        self.setup_event_loop()
        self.register_signal_handler()
        await rest.start([self._listener])


async def _refused(_: Request, error: Exception) -> JSONResponse:
    """Our errors: what was wrong and what to do. A store that does not answer is 503, not the caller's mistake."""
    assert isinstance(error, SluiceError)
    status = int(error.status) if isinstance(error, RequestError) else 503
    if status >= 500:
        logger.error("%s", error)
    content = {"error": error.message, "hint": error.hint, "problems": getattr(error, "problems", [])}
    return JSONResponse(content, status)


async def _invalid_input(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error), "hint": "", "problems": []}, 400)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    """Wrong paths and methods, and V2 bodies that are no JSON."""
    assert isinstance(error, HTTPException)
    content = {"error": str(error.detail), "hint": "", "problems": []}
    return JSONResponse(content, error.status_code, headers=error.headers)


async def _invalid_body(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's findings without the input, which may hold numbers that no JSON can."""
    assert isinstance(error, RequestValidationError)
    problems = [
        {"row": None, "field": ".".join(map(str, entry["loc"])), "problem": str(entry["msg"])}
        for entry in error.errors()
    ][:10]
    text = "; ".join(f"{problem['field']}: {problem['problem']}" for problem in problems)
    return JSONResponse({"error": text, "hint": "", "problems": problems}, 422)
