"""One version in one process of its own, from start to stop."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep

from sluice.errors import RequestError

_STOP_SECONDS = 35.0


class ServerProcess:
    """A model server as a child process; its log lies in a file.

    Args:
        arguments: of `python -m sluice_serving`, without the port: it takes a free one.
        log: receives what the server writes.
        environment: variables beside those of this process.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path, *, port: int = 0, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sluice_serving", *arguments, "--port", str(port)]
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=file, env={**os.environ, **(environment or {})}
            )
        self.address = ""
        self.model = ""

    def wait_ready(self, timeout: float) -> None:
        """Return when the server answers that its model and its online store do.

        Raises:
            RequestError: it ended, or was not ready in time; it is stopped.
        """
        deadline = monotonic() + timeout
        try:
            self._read_announcement(deadline)
            while not self._is_ready():
                if self.process.poll() is not None or monotonic() > deadline:
                    raise self._failed()
                sleep(0.05)
        except BaseException:
            self.kill()
            raise

    def stop(self, within: float = _STOP_SECONDS) -> int:
        """SIGTERM: requests in flight are answered, then it ends, or is killed after `within` seconds.

        Returns:
            the exit code.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._close()
        return code

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _read_announcement(self, deadline: float) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - monotonic()))
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise self._failed()
        announced = json.loads(line)
        self.address, self.model = announced["address"], announced["model"]

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/v2/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _failed(self) -> RequestError:
        try:
            # It may have closed its output a moment before it ends.
            code: int | None = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        said = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        what = "is not ready in time" if code is None else f"ended with exit code {code}"
        return RequestError(f"the model server {what}: {' '.join(said)[:500]}", hint=f"its log is {self._log}")

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
