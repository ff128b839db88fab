"""Traffic on one machine: a process a version, and a front that splits requests between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from sluice.errors import RequestError
from sluice.rollout import Shadow
from sluice.rollout.traffic import in_tenths, refuse_strangers
from sluice_serving.traffic.front import Front, Target
from sluice_serving.traffic.observed import MetricsObserver
from sluice_serving.traffic.pods import read_text
from sluice_serving.traffic.process import ServerProcess

_READY_SECONDS = 60.0
_DRAIN_SECONDS = 30.0
_IDLE_SECONDS = 10.0
"""For a server without requests to end: what is left for the payload ledger is sent."""


class LocalTraffic:
    """Versions as child processes behind one address. Use it as a context: leaving it stops all of them.

    Args:
        arguments: of `python -m sluice_serving` for a version's digest; it fetches the version into a folder first.
        logs: folder for the servers' logs, one file a version.
        host, port: where clients call; port 0 takes a free one.
        seed: of the split.
        timeout: seconds that a server has for an answer.
    """

    def __init__(
        self,
        arguments: Callable[[str], Sequence[str]],
        logs: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        ready_seconds: float = _READY_SECONDS,
        timeout: float = 5.0,
    ) -> None:
        self._arguments, self._logs, self._ready_seconds = arguments, logs, ready_seconds
        self._front = Front(host, port, seed, timeout)
        self._servers: dict[str, ServerProcess] = {}
        self._weights: dict[str, float] = {}
        self._shadow: Shadow | None = None

    @property
    def endpoint(self) -> str:
        """The front's address."""
        return self._front.address

    def prepare(self, version: str) -> None:
        """Start the version's server and wait until it is ready; one that has died is started anew."""
        server = self._servers.get(version)
        if server is not None and server.process.poll() is None:
            return
        server = ServerProcess(self._arguments(version), self._logs / f"{version[:12]}.log")
        server.wait_ready(self._ready_seconds)
        self._servers[version] = server
        self._weights.setdefault(version, 0)
        self._split()

    def weights(self) -> dict[str, float]:
        """Percent of the requests by version."""
        return dict(self._weights)

    def set_weights(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        """Split the requests from the next one on."""
        refuse_strangers(weights, shadow, self._servers)
        in_tenths(weights)
        self._weights = {version: weights.get(version, 0) for version in self._servers}
        self._split()
        if shadow != self._shadow:
            self._front.mirror(
                _target(self._servers[shadow.version]) if shadow else None, shadow.percent if shadow else 0
            )
            self._shadow = shadow

    def retire(self, version: str) -> None:
        """Stop a version's server after its requests in flight are answered."""
        if version not in self._servers:
            return
        if self._weights[version]:
            raise RequestError(f"{version[:12]} still has {self._weights[version]:g} %", hint="give it weight 0 first")
        server = self._servers.pop(version)
        del self._weights[version]
        self._split()
        drained = self._front.drain(_target(server), _DRAIN_SECONDS)
        # One that hangs does not hear the signal either.
        server.stop(*([_IDLE_SECONDS] if drained else []))

    def promote(self, version: str) -> None:
        """Have one version take everything: prepare it, switch, retire the others."""
        self.prepare(version)
        self.set_weights({version: 100})
        for other in [known for known in self._servers if known != version]:
            self.retire(other)

    def break_answers(self, version: str, share: float) -> None:
        """Fail this share of the requests to a prepared version: a fault injected to see the rollout find it."""
        self._front.break_answers(_target(self._servers[version]), share)

    def dropped(self) -> int:
        """Copies for a shadow that were not sent, because too many waited already."""
        return sum(self._front.dropped.values())

    def observer(self) -> MetricsObserver:
        """What the rollout watches: each server's metrics, and what the front got no answer to."""
        return MetricsObserver(
            self._metrics,
            lambda version: self._front.unanswered[_target(self._servers[version])],
        )

    def close(self) -> None:
        """Stop the front and every server."""
        self._front.close()
        for server in self._servers.values():
            server.stop()
        self._servers.clear()

    def __enter__(self) -> LocalTraffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _metrics(self, version: str) -> dict[str, str]:
        server = self._servers[version]
        text = read_text(f"{server.address}/metrics")
        # A process that took the place of another has counts of its own.
        return {} if text is None else {f"{server.process.pid}": text}

    def _split(self) -> None:
        self._front.split({_target(self._servers[version]): weight for version, weight in self._weights.items()})


def _target(server: ServerProcess) -> Target:
    address = urlsplit(server.address)
    return str(address.hostname), int(address.port or 0)
