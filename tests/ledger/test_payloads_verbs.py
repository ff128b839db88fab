"""`sluice payloads …` as a person types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ledger_files import DAY, add, requests, responses
from typer.testing import CliRunner

from sluice.settings.operation import Storage
from sluice.storage import open_store
from sluice_cli.main import app

USE_CASE = str(Path(__file__).parents[2] / "use_cases" / "fraud.yaml")


def sluice(*words: str) -> str:
    """What the command says; it has to end well."""
    done = CliRunner().invoke(app, ["payloads", *words])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_ledger_is_shown_compacted_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    url = str(tmp_path / "store")
    store = open_store(Storage(url=url))
    yesterday = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - DAY
    for name, numbers in (("1", [1, 2]), ("2", [2, 3])):
        add(store, name, responses(numbers, start=yesterday))
        add(store, name, requests([*numbers, 90], start=yesterday))
    shown = sluice("show", USE_CASE, "--store", url)
    assert "v1 │ 3 │ 0.0020 │ 1 │ 0" in shown and "│ 1 │" in shown
    assert "4 files are 2 in 2 partitions; 3 copies of rows removed" in sluice("compact", USE_CASE, "--store", url)
    assert sluice("show", USE_CASE, "--store", url) == shown
    assert "removed 0 partitions" in sluice("expire", USE_CASE, "--store", url)
    gone = sluice("expire", USE_CASE, "--store", url, "--keep-days", "0")
    assert "payloads/fraud/responses/v1/" in gone and "removed 2 partitions" in gone
    assert list(store.keys("payloads")) == []


def test_a_caller_is_admitted_and_the_receiver_knows_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = CliRunner().invoke(app, ["payloads", "admit", "server", "--model", "fraud", "--work", str(work)])
    token = done.stdout.split()[0]
    (caller,) = yaml.safe_load((work / "payloads" / "callers.yaml").read_text())["callers"]
    assert caller["name"] == "server" and caller["models"] == ["fraud"] and token not in str(caller)
    command = [str(Path(sys.executable).with_name("sluice")), "payloads", "receive", USE_CASE]
    command += ["--work", str(work), "--store", str(tmp_path / "store")]
    told = {**os.environ, "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told, start_new_session=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[-1]
        assert address.endswith("/models/fraud")
        about = {
            "specversion": "1.0",
            "id": "1",
            "source": "s",
            "type": "org.kubeflow.serving.inference.request",
            "time": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
            "data": {"instances": [{}]},
        }
        assert _post(address, about, token) == 200
        assert _post(address, about, "wrong") == 401
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
        process.stdout.close()
    assert process.returncode == 0
    assert [key.split("/")[2] for key in open_store(Storage(url=str(tmp_path / "store"))).keys("payloads")] == [
        "requests"
    ]


def _post(address: str, event: dict[str, object], token: str) -> int:
    headers = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {token}"}
    asked = urllib.request.Request(address, json.dumps(event).encode(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
