"""Kubeflow's own client, spoken in the server's version of its API. Imported where an address is set: it is slow to."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from model_registry import ModelRegistry
from model_registry.core import ModelRegistryAPIClient
from mr_openapi import ApiClient, ModelRegistryServiceApi
from mr_openapi.exceptions import NotFoundException

NEW, OLD = "/api/model_registry/v1/", "/api/model_registry/v1alpha3/"
"""Clients of 0.3.18 know the first alone, servers up to 0.3.14 the second; what is said there is the same."""


def client_of(address: str, author: str, token: str | None, run: Any) -> ModelRegistry:
    """A client of the model registry at `address` (http://host:port); `run` runs its coroutines.

    Raises:
        Exception: the client's own, aiohttp's or urllib3's: the server does not answer.
    """
    with warnings.catch_warnings():
        # Anonymous is what the settings say.
        warnings.filterwarnings("ignore", message="User access token is missing")
        try:
            return ModelRegistry(address, author=author, user_token=token, async_runner=run)
        except NotFoundException:
            return _OlderRegistry(address, author=author, user_token=token, async_runner=run)


class _OlderRegistry(ModelRegistry):  # type: ignore[misc]
    """Its constructor asks the server already, so the interface below it is exchanged where it is set."""

    @property
    def _api(self) -> ModelRegistryAPIClient:
        return self._older

    @_api.setter
    def _api(self, api: ModelRegistryAPIClient) -> None:
        self._older = _Older(api.config)


class _Older(ModelRegistryAPIClient):  # type: ignore[misc]
    @asynccontextmanager
    async def get_client(self) -> AsyncIterator[ModelRegistryServiceApi]:
        api = _OlderPaths(self.config)
        try:
            yield ModelRegistryServiceApi(api)
        finally:
            await api.close()


class _OlderPaths(ApiClient):  # type: ignore[misc]
    async def call_api(self, method: str, url: str, *given: Any, **named: Any) -> Any:
        return await super().call_api(method, url.replace(NEW, OLD, 1), *given, **named)
