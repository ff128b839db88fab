"""The door to the other environment: errors in words, nothing left behind, nothing imported that is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.errors import WatchError
from sluice.watch import door

ROOT = Path(__file__).parents[2]
WAITING = """#!/bin/sh
exec {python} -c '
import time
from sluice.processes import end_with_caller
end_with_caller()
open("{mark}", "w").write(str(__import__("os").getpid()))
time.sleep(60)'
"""


def script(path: Path, text: str) -> Path:
    """A program in the place of the other environment's Python."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_an_environment_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(WatchError, match="is not there: /nowhere/python") as refused:
        door.interpreter({door.VARIABLE: "/nowhere/python"})
    assert "make setup-alibi" in refused.value.hint


def test_what_the_other_side_said_is_the_error(tmp_path: Path) -> None:
    said = '::sluice:: {"kind": "failed", "step": "drift", "message": "too long", "hint": "fewer days"}'
    program = script(tmp_path / "python", f"#!/bin/sh\necho '{said}'\nexit 1\n")
    with pytest.raises(WatchError, match="too long") as refused:
        door.call("drift", tmp_path, python=program)
    assert refused.value.hint == "fewer days"


def test_a_task_that_dies_tells_its_last_words(tmp_path: Path) -> None:
    program = script(tmp_path / "python", "#!/bin/sh\necho first >&2\necho 'out of memory' >&2\nkill -9 $$\n")
    with pytest.raises(WatchError, match="drift ended with status -9: out of memory"):
        door.call("drift", tmp_path, python=program)


def test_progress_is_passed_on(tmp_path: Path) -> None:
    said = '::sluice:: {"kind": "progress", "step": "drift", "part": "rows", "done": 1, "total": 2, "note": "x"}'
    program = script(tmp_path / "python", f"#!/bin/sh\necho '{said}'\necho noise\n")
    heard: list[tuple[str, int, int, str]] = []
    door.call("drift", tmp_path, python=program, progress=lambda *told: heard.append(told))  # type: ignore[arg-type]
    assert heard == [("rows", 1, 2, "x")]


def test_it_ends_with_its_caller_even_when_that_is_killed(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    program = script(tmp_path / "python", WAITING.format(python=sys.executable, mark=mark))
    task = f"door.call('drift', Path('.'), python=Path('{program}'))"
    code = f"from pathlib import Path\nfrom sluice.watch import door\n{task}"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    while not (mark.exists() and mark.read_text()):
        assert caller.poll() is None
        time.sleep(0.05)
    running = int(mark.read_text())
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    while _alive(running):
        time.sleep(0.05)


def test_the_room_imports_nothing_that_is_not_in_its_environment(python: Path) -> None:
    names = sorted(path.stem for path in (ROOT / "sluice/watch/alibi").glob("*.py") if not path.stem.startswith("_"))
    code = f"import importlib\nfor name in {names}: importlib.import_module('sluice.watch.alibi.' + name)\n"
    code += "import sys, numpy; print(numpy.__version__.split('.')[0], 'feast' in sys.modules)"
    done = subprocess.run([python, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "1 False", done.stderr[-500:]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z" and os.kill(pid, 0) is None
    except (FileNotFoundError, ProcessLookupError):
        return False
