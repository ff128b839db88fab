"""`python -m sluice.watch.alibi TASK FOLDER [--into FOLDER]`: one task over a folder of files.

What it finds lies in the folder, or in the one that `--into` names.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path

from sluice.processes import end_with_caller
from sluice.steps import step

TASKS = ("drift", "explain")


def main(arguments: list[str]) -> None:
    """Run `sluice.watch.alibi.<task>.run(folder, into, progress)`."""
    given = _arguments(arguments)
    task, folder = given.task, given.folder
    into = given.into or folder
    end_with_caller()
    # The libraries warn of what they will not be able to do with packages that are not here; nothing of it is used.
    warnings.simplefilter("ignore")
    logging.getLogger("alibi_detect").setLevel(logging.ERROR)
    with step(task) as progress:
        into.mkdir(parents=True, exist_ok=True)
        if task not in TASKS:
            raise ValueError(f"there is no task {task}: {', '.join(TASKS)}")
        import_module(f"sluice.watch.alibi.{task}").run(folder, into, progress)


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sluice.watch.alibi")
    parser.add_argument("task")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--into", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
