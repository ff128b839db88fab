"""What images are made from, without making them."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tools.images import inputs, packages, sizes
from tools.images.base import pinned
from tools.images.engine import Build, Engine, find_engine
from tools.images.errors import ImageError
from tools.images.places import ROOT

FAKE = '#!/bin/sh\nprintf "%s\\n" "$0 $*" >>"$CALLED"\n'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder alone on the PATH, for commands that only write down how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("CALLED", str(tmp_path / "called"))
    monkeypatch.delenv("SLUICE_ENGINE", raising=False)
    return folder


def install(folder: Path, name: str, text: str = FAKE) -> None:
    """A command of this name."""
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("name", ["BASE", "UV"])
def test_what_it_starts_from_is_pinned_by_digest(name: str) -> None:
    assert "@sha256:" in pinned(name)


def test_all_three_targets_are_there() -> None:
    stages = [line.split()[-1] for line in (ROOT / "Containerfile").read_text().splitlines() if line.startswith("FROM")]
    assert stages[-3:] == ["pipeline", "serving", "alibi"]


@pytest.mark.parametrize("name", ["build", "core", "serving", "alibi"])
def test_every_package_is_locked_with_hashes(name: str) -> None:
    lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
    assert {line.split()[0][:14] for line in lines if line.startswith(" ")} == {"--hash=sha256:"}
    assert all("==" in line for line in lines if not line.startswith(" "))


def test_serving_holds_nothing_of_training() -> None:
    names = {line.partition("==")[0] for line in (ROOT / "requirements/serving.txt").read_text().splitlines()}
    assert names.isdisjoint({"torch", "kfp", "triton", "xgboost", "scikit-learn", "duckdb", "mypy", "boto3"})


def copied(folder: Path) -> Path:
    """The sources of the images, to be changed."""
    for name in (*inputs._FOLDERS, "requirements", "tools/images"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    for name in inputs._FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_a_changed_source_or_lock_changes_the_inputs_and_a_cache_does_not(tmp_path: Path) -> None:
    root = copied(tmp_path)
    first = {target: inputs.digest(target, {"BASE": "x"}, root) for target in inputs.LOCKS}
    (root / "sluice/__pycache__").mkdir()
    (root / "sluice/__pycache__/errors.cpython-311.pyc").write_bytes(b"1")
    (root / "feature_repo/data").mkdir()
    (root / "feature_repo/data/registry.db").write_bytes(b"1")
    assert {target: inputs.digest(target, {"BASE": "x"}, root) for target in inputs.LOCKS} == first

    (root / "requirements/core.txt").write_text("torch==0")
    assert inputs.digest("serving", {"BASE": "x"}, root) == first["serving"]
    assert inputs.digest("pipeline", {"BASE": "x"}, root) != first["pipeline"]
    (root / "sluice/errors.py").write_text("")
    assert inputs.digest("serving", {"BASE": "x"}, root) != first["serving"]
    assert len({inputs.digest("serving", {"BASE": base}, ROOT) for base in "xy"}) == 2


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://name:secret@git.example.com/a/b.git", "https://git.example.com/a/b.git"),
        ("https://git.example.com/a/b", "https://git.example.com/a/b"),
        ("git@git.example.com:a/b.git", ""),
        ("/home/me/sluice", ""),
        ("", ""),
    ],
)
def test_the_label_source_tells_no_secret(address: str, public: str) -> None:
    assert inputs.public(address) == public


def test_the_build_gets_the_callers_index_and_proxy_and_nothing_of_his_machine(tmp_path: Path) -> None:
    certificates = tmp_path / "own.pem"
    certificates.write_text("-----")
    given = {
        "UV_INDEX_URL": "https://n:it's@mirror.example.com/simple",
        "UV_CACHE_DIR": "/home/me/.cache/uv",
        "UV_PYTHON_INSTALL_DIR": "/home/me/python",
        "PIP_INDEX_URL": "https://pip.example.com/simple",
        "https_proxy": "http://proxy.example.com:3128",
        "AWS_SECRET_ACCESS_KEY": "no",
        "SSL_CERT_FILE": str(certificates),
    }
    held = packages.secrets(tmp_path, inside="/caller/uv", environment=given)
    read = subprocess.run(
        ["sh", "-c", f". {shlex.quote(str(held['packages']))}; env"], env={}, capture_output=True, text=True, check=True
    )
    lines = set(read.stdout.splitlines())
    assert "UV_INDEX_URL=https://n:it's@mirror.example.com/simple" in lines
    assert {"UV_DEFAULT_INDEX=https://pip.example.com/simple", "UV_CACHE_DIR=/caller/uv"} <= lines
    assert "https_proxy=http://proxy.example.com:3128" in lines
    assert "secret" not in read.stdout.lower()
    assert "/home/me" not in read.stdout
    assert held["certificates"] == certificates
    assert held["packages"].stat().st_mode & 0o077 == 0


def test_the_first_engine_that_answers_is_taken(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(program, "docker", "#!/bin/sh\nexit 1\n")
    install(program, "podman")
    monkeypatch.setenv("PATH", str(program))
    assert find_engine() == Engine("podman")
    install(program, "docker", "#!/bin/sh\nexit 0\n")
    assert find_engine() == Engine("docker")
    monkeypatch.setenv("SLUICE_ENGINE", "podman")
    assert find_engine() == Engine("podman")


def test_without_an_engine_it_says_what_to_install(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program))
    with pytest.raises(ImageError, match="apt-get install podman"):
        find_engine()


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_every_engine_is_told_the_same(program: Path, tmp_path: Path, name: str) -> None:
    install(program, name)
    wanted = Build("serving", "x/y:1", {"BASE": "b"}, {"packages": tmp_path / "p"}, {tmp_path: "/caller/uv"})
    Engine(name).build(wanted, tmp_path, tmp_path / "Containerfile")
    said = Path(os.environ["CALLED"]).read_text()
    assert "--target=serving" in said
    assert f"--tag x/y:1 --file {tmp_path}/Containerfile" in said
    assert f"--build-arg BASE=b --secret id=packages,src={tmp_path}/p" in said
    # Docker keeps layers and a cache of its own accord, and sees no folder of the caller.
    assert ("--layers" in said) == ("/caller/uv" in said) == (name != "docker")


def test_an_image_that_outgrew_its_limit_is_refused() -> None:
    sizes.check("serving", 300 * 10**6, 950 * 10**6)
    sizes.check("pipeline", 9000 * 10**6, 20000 * 10**6)
    with pytest.raises(ImageError, match="1001 MB unpacked, 1000 MB are allowed"):
        sizes.check("serving", 300 * 10**6, 1001 * 10**6)
    with pytest.raises(ImageError, match="701 MB compressed, 700 MB are allowed"):
        sizes.check("serving", 701 * 10**6, 950 * 10**6)
