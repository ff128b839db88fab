"""The log of runs: every experiment with its data, settings, hyper-parameters, metrics and artifacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sluice import digests
from sluice.errors import RegistryError
from sluice.registry.formats import FORMAT, read_document
from sluice.storage import Store


@dataclass(frozen=True)
class Run:
    """A run. `status` is `running` until it is finished; a run that was killed stays so.

    Attributes:
        data_version: digest of events and labels.
        artifacts: name to where it is: a digest of a blob or version, or a path.
    """

    id: str
    model: str
    started: datetime
    data_version: str
    settings_digest: str
    seed: int
    hyper_parameters: dict[str, Any]
    status: str = "running"
    finished: datetime | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    message: str = ""


class RunLog:
    """The runs of a model: two documents a run, each written once."""

    def __init__(self, store: Store, model: str, *, clock: Callable[[], datetime]) -> None:
        self._store, self.model, self._clock = store, model, clock

    def start(
        self,
        *,
        data_version: str,
        settings_digest: str,
        seed: int,
        hyper_parameters: dict[str, Any],
        run_id: str | None = None,
    ) -> Run:
        """Record that a run begins. Its id is `run_id`, else the time and the beginning of the settings' digest."""
        now = self._clock()
        name = run_id or f"{now:%Y%m%dT%H%M%S}-{settings_digest[:8]}"
        for number in range(1, 1000):
            run_id = name if number == 1 else f"{name}-{number}"
            run = Run(run_id, self.model, now, data_version, settings_digest, seed, hyper_parameters)
            document = {
                "format": FORMAT,
                "id": run_id,
                "model": self.model,
                "started": now.isoformat(),
                "data_version": data_version,
                "settings_digest": settings_digest,
                "seed": seed,
                "hyper_parameters": hyper_parameters,
            }
            if self._store.put_if_absent(self._key(run_id, "started"), digests.canonical_json(document)):
                return run
        raise RegistryError(f"a thousand runs began at {now}", "check the clock")

    def finish(
        self,
        run_id: str,
        status: str,
        *,
        metrics: dict[str, float] | None = None,
        artifacts: dict[str, str] | None = None,
        message: str = "",
    ) -> Run:
        """Record how a run ended (`promoted`, `refused`, `failed` …).

        Raises:
            RegistryError: there is no such run, or it is finished already.
        """
        self.get(run_id)
        document = {
            "format": FORMAT,
            "id": run_id,
            "status": status,
            "finished": self._clock().isoformat(),
            "metrics": metrics or {},
            "artifacts": artifacts or {},
            "message": message,
        }
        if not self._store.put_if_absent(self._key(run_id, "finished"), digests.canonical_json(document)):
            raise RegistryError(f"run {run_id} is finished already", "start a new run")
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """One run.

        Raises:
            RegistryError: there is no such run.
        """
        key = self._key(run_id, "started")
        if not self._store.exists(key):
            raise RegistryError(f"{self.model} has no run {run_id}", "`sluice runs` lists them")
        begun = read_document(self._store.get(key), key)
        begun.pop("format")
        run = Run(**{**begun, "started": datetime.fromisoformat(begun["started"])})
        end_key = self._key(run_id, "finished")
        if not self._store.exists(end_key):
            return run
        end = read_document(self._store.get(end_key), end_key)
        end.pop("format")
        return Run(**{**vars(run), **end, "finished": datetime.fromisoformat(end["finished"])})

    def list(self) -> list[Run]:
        """All runs, the newest first."""
        names = {key.split("/")[-2] for key in self._store.keys(f"registry/{self.model}/runs")}
        return sorted((self.get(name) for name in names), key=lambda run: (run.started, run.id), reverse=True)

    def compare(self, *run_ids: str) -> Sequence[dict[str, Any]]:
        """What differs between runs: rows with `what` and a value per run id (None where a run has none).

        Metrics are always told; data, seed, settings and hyper-parameters only where they differ.
        """
        flat = {run_id: _flat(self.get(run_id)) for run_id in run_ids}
        names = list(dict.fromkeys(name for values in flat.values() for name in values))
        rows = []
        for name in names:
            values = {run_id: flat[run_id].get(name) for run_id in run_ids}
            if name.startswith("metrics.") or len({repr(value) for value in values.values()}) > 1:
                rows.append({"what": name, **values})
        return rows

    def _key(self, run_id: str, part: str) -> str:
        return f"registry/{self.model}/runs/{run_id}/{part}.json"


def _flat(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def lay(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                lay(f"{name}.{key}", inner)
        else:
            found[name] = value

    for name in ("status", "data_version", "settings_digest", "seed", "hyper_parameters", "metrics", "artifacts"):
        lay(name, getattr(run, name))
    return found
