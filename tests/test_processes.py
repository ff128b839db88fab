"""Servers end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVER = """
import json, os, time
from sluice.processes import end_with_caller
end_with_caller()
print(json.dumps({"pid": os.getpid()}), flush=True)
time.sleep(600)
"""
CALLER = """
import os, sys, time
from sluice.processes import started
with started([sys.executable, "-c", sys.argv[1]], os.environ, grace=5) as (process, said):
    print(said["pid"], flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_server_does_not_outlive_who_started_it(how: signal.Signals) -> None:
    caller = subprocess.Popen([sys.executable, "-c", CALLER, SERVER], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    server = int(caller.stdout.readline())
    os.kill(server, 0)
    caller.send_signal(how)
    caller.communicate()
    while _runs(server):
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
