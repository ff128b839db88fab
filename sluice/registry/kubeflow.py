"""Tell Kubeflow's model registry about versions. Ours stays the record; theirs is where the Kubeflow UI looks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from sluice.errors import RegistryError, first_line
from sluice.registry.version import Version, manifest_key
from sluice.storage import Store

Result = TypeVar("Result")


class ModelIndex(Protocol):
    """Where versions are made known."""

    def register(self, version: Version, *, uri: str, metrics: Mapping[str, float], author: str) -> None:
        """Make a version known; again for the same version does nothing new."""


def version_uri(store: Store, version: Version) -> str:
    """The address of a version's manifest."""
    base = store.folder.as_uri() if store.folder is not None else store.url
    return f"{base}/{manifest_key(version.model, version.digest)}"


class KubeflowIndex:
    """Kubeflow's model registry at `address` (http://host:port). Without `token` the connection is anonymous."""

    def __init__(self, address: str, *, token: str | None = None) -> None:
        self._address, self._token = address, token

    def register(self, version: Version, *, uri: str, metrics: Mapping[str, float], author: str) -> None:
        """Register a version with its metrics.

        Raises:
            RegistryError: the model registry does not answer or refuses. The version in the store is not touched.
        """
        from sluice.registry.kubeflow_client import client_of

        loop = asyncio.new_event_loop()

        def run(work: Coroutine[Any, Any, Result]) -> Result:
            return loop.run_until_complete(work)

        try:
            client = client_of(self._address, author, self._token, run)
            if client.get_registered_model(version.model) and client.get_model_version(version.model, version.digest):
                return
            client.register_model(
                version.model,
                uri,
                model_format_name="onnx",
                model_format_version="1",
                version=version.digest,
                author=author,
                metadata={**metrics, "sluice_version": version.digest},
            )
        except Exception as error:
            # The client lets its own, aiohttp's and urllib3's errors through.
            raise RegistryError(
                f"the model registry at {self._address} does not take version {version.digest[:12]}: "
                f"{first_line(error, 200)}",
                "check storage.model_registry and the server; the version itself is safe in the store",
            ) from None
        finally:
            loop.close()
