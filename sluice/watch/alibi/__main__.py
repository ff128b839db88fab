"""`python -m sluice.watch.alibi TASK FOLDER CALLER`: one task over a folder of files; ends when its caller does."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import warnings
from importlib import import_module
from pathlib import Path

from sluice.steps import step

TASKS = ("drift", "explain")
_PR_SET_PDEATHSIG = 1


def main(task: str, folder: str, caller: str) -> None:
    """Run `sluice.watch.alibi.<task>.run(folder, progress)`."""
    end_with(int(caller))
    # The libraries warn of what they will not be able to do with packages that are not here; nothing of it is used.
    warnings.simplefilter("ignore")
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    with step(task) as progress:
        if task not in TASKS:
            raise ValueError(f"there is no task {task}: {', '.join(TASKS)}")
        import_module(f"sluice.watch.alibi.{task}").run(Path(folder), progress)


def end_with(caller: int) -> None:
    """Be killed when the caller ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != caller:
        sys.exit("the caller is gone")


if __name__ == "__main__":
    main(*sys.argv[1:])
