"""What a pipeline step tells while it works: progress, and the one message it fails with.

Everything goes to standard output as lines, so that a step says the same in a pod's log as under the local runner;
`sluice run` reads the marked lines back (`read_line`) and draws bars from them.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from sluice.errors import SluiceError

MARK = "::sluice:: "


class Progress(Protocol):
    """Called as work goes on: `done` of `total` (0: unknown) of what `step` names, with a note."""

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None: ...


@contextmanager
def step(name: str, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Run a step's work: says when it starts and ends, gives a throttled progress, ends the process on an error."""
    started = clock()
    emit(kind="started", step=name)
    try:
        yield _throttled(name, clock)
    except SluiceError as error:
        _fail(name, error.message, error.hint, getattr(error, "ways", ()))
    except Exception as error:
        traceback.print_exc()
        _fail(name, f"{type(error).__name__}: {error}", "this is a fault of ours: the log above has the details")
    emit(kind="finished", step=name, seconds=round(clock() - started, 1))


def silent(step: str, done: int, total: int, note: str = "") -> None:
    """A progress that says nothing."""


def emit(**fields: Any) -> None:
    """Print one marked line."""
    print(MARK + json.dumps(fields, ensure_ascii=False), flush=True)


def read_line(line: str) -> dict[str, Any] | None:
    """The fields of a marked line (it may be indented), or None for any other line."""
    text = line.strip()
    if not text.startswith(MARK.strip()):
        return None
    try:
        fields = json.loads(text.removeprefix(MARK.strip()))
    except json.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


def _fail(name: str, message: str, hint: str, ways: Sequence[str] = ()) -> NoReturn:
    emit(kind="failed", step=name, message=message, hint=hint, **({"ways": list(ways)} if ways else {}))
    raise SystemExit(1)


def _throttled(name: str, clock: Callable[[], float]) -> Progress:
    last = [float("-inf")]

    def progress(step: str, done: int, total: int, note: str = "") -> None:
        now = clock()
        if done >= total > 0 or now - last[0] >= 0.2:
            last[0] = now
            emit(kind="progress", step=name, part=step, done=done, total=total, note=note)

    return progress
