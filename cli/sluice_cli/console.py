"""Where the command writes, and how it shows a run's progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from sluice.steps import Progress as Work

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


class RunProgress:
    """Draws the marked lines of a run: a bar a step, and in a plain log a line when a step ends."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, fields: dict[str, Any]) -> None:
        """Take the fields of one marked line (see `sluice.steps`)."""
        name = str(fields.get("step", ""))
        match fields["kind"]:
            case "started":
                self._task(name)
            case "progress":
                total = fields["total"] or None
                note = str(fields["note"] or fields["part"])
                self._progress.update(self._task(name), completed=fields["done"], total=total, note=note)
            case "finished":
                self._finish(name, fields["seconds"])
            case "warning":
                self._progress.console.print(f"[yellow]{name}[/] {fields['message']}")

    def work(self, name: str) -> Work:
        """A progress (see `sluice.steps.Progress`) for work done in this process."""

        def progress(step: str, done: int, total: int, note: str = "") -> None:
            self({"kind": "progress", "step": name, "part": step, "done": done, "total": total, "note": note})

        return progress

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, note="")
        return self._tasks[name]

    def _finish(self, name: str, seconds: float) -> None:
        task = self._task(name)
        self._progress.update(task, completed=1, total=1, note=f"{seconds:.1f} s")
        self._progress.stop_task(task)
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"  {name}: {seconds:.1f} s")


@contextmanager
def run_progress() -> Iterator[RunProgress]:
    """Bars for a run while the block lasts."""
    columns = (
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}[/]"),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        yield RunProgress(progress)
