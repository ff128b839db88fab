"""What an image is made from, as one digest, and which commit it is."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.images.places import ROOT, version

LOCKS = {"pipeline": "core", "serving": "serving", "alibi": "alibi"}
_FILES = ("Containerfile", ".dockerignore", "tools/images/install", "pyproject.toml", "README.md", "LICENSE")
_FOLDERS = ("sluice", "cli", "components", "pipelines", "serving", "feature_repo", "use_cases")


def digest(target: str, arguments: Mapping[str, str], root: Path = ROOT) -> str:
    """Of everything that the build of this target reads, and of the identities that it starts from."""
    total = hashlib.sha256()
    for name, value in sorted(arguments.items()):
        total.update(f"{name}={value}\0".encode())
    for path in _paths(target, root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(root)}\0{content}\0".encode())
    return total.hexdigest()


def _paths(target: str, root: Path) -> Iterator[Path]:
    for name in (*_FILES, "requirements/build.txt", f"requirements/{LOCKS[target]}.txt"):
        yield root / name
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not _left_out(path.relative_to(root)):
                yield path


def _left_out(path: Path) -> bool:
    # As .dockerignore says.
    return "__pycache__" in path.parts or path.parts[:2] == ("feature_repo", "data") or ".egg-info" in str(path)


def labels() -> dict[str, str]:
    """The arguments VERSION, REVISION and SOURCE, of this checkout."""
    revision = _git("rev-parse", "HEAD") or "unknown"
    if revision != "unknown" and _git("status", "--porcelain", "--", *_FILES, *_FOLDERS, "requirements"):
        revision += "-modified"
    return {"VERSION": version(), "REVISION": revision, "SOURCE": public(_git("remote", "get-url", "origin"))}


def public(address: str) -> str:
    """A web address without name and password; nothing for any other."""
    return re.sub(r"//[^/@]*@", "//", address) if address.startswith("https://") else ""


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
