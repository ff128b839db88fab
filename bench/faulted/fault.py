"""What a fault is, and how its outcome is judged."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.errors import SluiceError

if TYPE_CHECKING:
    from faulted.place import Place


class NotSurvivedError(Exception):
    """The loop did something else than a fault allows."""


class SkippedError(Exception):
    """The fault cannot be injected on this machine."""


@dataclass(frozen=True)
class Fault:
    """A fault: its name, what has to happen, and what injects it and returns what happened."""

    name: str
    expected: str
    inject: Callable[[Place], str]


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: survived, skipped or NOT SURVIVED."""

    fault: Fault
    status: str
    happened: str
    seconds: float


def survive(fault: Fault, place: Place) -> Outcome:
    """Inject a fault; whatever it did, the store that all faults share has to be sound afterwards."""
    started = time.perf_counter()
    try:
        happened, status = fault.inject(place), "survived"
        place.check_sound()
    except SkippedError as reason:
        happened, status = str(reason), "skipped"
    except Exception as error:
        if not isinstance(error, NotSurvivedError):
            traceback.print_exc()
        happened, status = f"{type(error).__name__}: {error}", "NOT SURVIVED"
    return Outcome(fault, status, _short(happened, place), time.perf_counter() - started)


def _short(text: str, place: Place) -> str:
    """On one line, without the temporary folder and the ends of digests."""
    line = " ".join(text.replace(str(place.folder), "…").split())
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", line)


def require(condition: bool, otherwise: str) -> None:
    """Raise unless the condition holds."""
    if not condition:
        raise NotSurvivedError(otherwise)


@contextmanager
def refused(sign: str) -> Iterator[list[str]]:
    """The block has to be refused with a message that holds `sign`; the list then holds the message."""
    told: list[str] = []
    try:
        yield told
    except SluiceError as error:
        require(sign in error.message, f"the message does not say {sign!r}: {error.message}")
        require(bool(error.hint), f"no advice with: {error.message}")
        told.append(error.message)
    else:
        raise NotSurvivedError(f"nothing refused it (expected: {sign})")
