"""What the machine lacks is said in one line, before anything is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cluster import packages
from tools.cluster.cluster import held
from tools.cluster.errors import ClusterError
from tools.cluster.places import ROOT, Home


def test_without_root_there_is_one_loud_line() -> None:
    command = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-m", "tools.cluster", "up"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("THE TEST CLUSTER NEEDS ROOT")
    assert "Traceback" not in done.stderr


def test_packages_that_are_missing_are_named_with_the_line_that_installs_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = tmp_path / "packages.txt"
    wanted.write_text("# what for\niproute2 ip\nno-such-package no-such-program\n")
    monkeypatch.setattr(packages, "LIST", wanted)
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"]})
    with pytest.raises(ClusterError, match=r"missing: no-such-package\n.*apt-get install .*no-such-package") as said:
        packages.require()
    assert "iproute2" not in str(said.value)


def test_a_cluster_that_tests_use_is_not_taken_away(tmp_path: Path) -> None:
    environment = {**os.environ, "SLUICE_CLUSTER_HOME": str(tmp_path / "cluster")}
    with held(Home(tmp_path / "cluster"), wait=True):
        command = [sys.executable, "-m", "tools.cluster", "down"]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("tests use the cluster in")


def test_exec_without_a_cluster_says_how_to_start_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.cluster", "exec", "true"]
    environment = {**os.environ, "SLUICE_CLUSTER_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "there is no cluster\n  → python -m tools.cluster up\n")
