"""Every error that a user may meet.

SluiceError             what was wrong, where, and what to do
├── SettingsError       the use case file is wrong or contradicts itself (all mistakes at once)
├── DataError           the events or labels cannot be used
├── StoreError          the store is missing, unreachable, or refuses
│   └── IntegrityError  stored bytes are not what their name or signature says
├── FeatureError        the feature repository or the online store cannot answer
│   └── FencedError     another updater was faster: nothing was written
├── TrainingError       a candidate cannot be trained
│   ├── MemoryPlanError it would not fit the card; carries the ways to make it fit
│   └── MoreProcessesError it takes several cards, a process each, and this process is alone
├── ExportError         the graph does not score like the trained model
├── GateError           the gate cannot judge (a refusal is a verdict, not an error)
├── RegistryError       a decision cannot be made or was lost to another writer
│   └── ConflictError   somebody else decided first: read head and champion anew
├── WatchError          drift cannot be tested, or a score not be explained
├── RequestError        a scoring request is wrong; carries its HTTP status
└── PipelineError       a step of a run failed
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of what another library's error says, or its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:limit]


class SluiceError(Exception):
    """An error for a person: `message` says what and where, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class SettingsError(SluiceError):
    """The use case file is wrong. `problems` holds one line a mistake, each with its path."""

    def __init__(self, where: str, problems: list[str]) -> None:
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(
            f"{where}: {count}\n" + "\n".join(f"  - {p}" for p in problems),
            "correct the file; docs/settings.md lists every setting",
        )
        self.problems = problems


class DataError(SluiceError):
    """The events or labels cannot be used."""


class StoreError(SluiceError):
    """The store is missing, unreachable, or refuses."""


class IntegrityError(StoreError):
    """Stored bytes are not what their name or their signature says."""


class FeatureError(SluiceError):
    """The feature repository or the online store cannot answer."""


class FencedError(FeatureError):
    """Another updater was faster, or has taken over: nothing was written."""


class TrainingError(SluiceError):
    """A candidate cannot be trained."""


class MemoryPlanError(TrainingError):
    """The training would not fit the card. `ways` names what `training.memory.over_budget` may be for it to fit."""

    def __init__(self, message: str, hint: str = "", ways: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.ways = tuple(ways)


class MoreProcessesError(TrainingError):
    """The training takes `processes` cards, a process each, and this process is alone."""

    def __init__(self, processes: int) -> None:
        super().__init__(
            f"this training takes {processes} processes, and this one is alone",
            f"set training.distributed.processes: {processes} and its engine to torchrun or trainjob",
        )
        self.processes = processes


class ExportError(SluiceError):
    """The exported graph does not score like the trained model."""


class GateError(SluiceError):
    """The gate cannot judge. A refusal is a verdict, not an error."""


class RegistryError(SluiceError):
    """A decision cannot be made."""


class ConflictError(RegistryError):
    """Somebody else decided first: read the log's head and the champion anew."""


class WatchError(SluiceError):
    """Drift cannot be tested, or a score not be explained."""


class RequestError(SluiceError):
    """A scoring request is wrong. `status` is the HTTP status of the answer."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class PipelineError(SluiceError):
    """A step of a run failed. `ways` are those of a `MemoryPlanError` in it."""

    def __init__(self, message: str, hint: str = "", ways: Sequence[str] = ()) -> None:
        super().__init__(message, hint)
        self.ways = tuple(ways)
