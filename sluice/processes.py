"""Processes that do not outlive the one that started them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

CALLER = "SLUICE_CALLER"
"""The variable by which a server knows the process that it ends with."""
_PR_SET_PDEATHSIG = 1


def _end_with(caller: int) -> None:
    """Be killed when the caller ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != caller:
        sys.exit("the caller is gone")


def of_caller(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process that ends with this one: it calls `end_with_caller`."""
    return {**environment, CALLER: str(os.getpid())}


def end_with_caller() -> None:
    """Be killed when the process that gave this one `of_caller` ends; does nothing where none did."""
    caller = os.environ.pop(CALLER, "")
    if caller:
        _end_with(int(caller))


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], *, errors: IO[str] | None = None, grace: float
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any] | None]]:
    """A server's process while the block lasts, and the line of JSON that it says first; None when it ended before.

    It calls `end_with_caller`, and so does not outlive a process that is killed in the block.

    Args:
        errors: where its standard error goes; default: to this process's.
        grace: seconds after SIGTERM until it is killed.
    """
    own = of_caller(environment)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=own) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield process, json.loads(line) if line else None
        finally:
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
