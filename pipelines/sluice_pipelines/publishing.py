"""Compiled packages in the store: `packages/<commit>/<name>.yaml`, each written once."""

from __future__ import annotations

import re
from pathlib import Path

from sluice.errors import PipelineError, StoreError
from sluice.storage import Store


def publish_packages(store: Store, folder: Path, model: str, commit: str) -> list[str]:
    """Store a model's packages under a commit; returns their keys. The same bytes again are no mistake.

    Raises:
        PipelineError: no packages, no whole commit, or other packages are there under this commit.
    """
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise PipelineError(
            f"{commit or 'nothing'} is no commit's hash",
            "commit what has changed, or give --commit in full",
        )
    files = sorted(folder.glob(f"{model}-*.yaml"))
    if not files:
        raise PipelineError(f"{folder} holds no packages of {model}", "`sluice compile` writes them")
    keys = []
    for file in files:
        key, data = f"packages/{commit}/{file.name}", file.read_bytes()
        if not store.put_if_absent(key, data) and store.get(key) != data:
            raise PipelineError(
                f"{store.url}/{key} holds another package", "packages of one commit do not change: make a new commit"
            )
        keys.append(key)
    return keys


def fetch_package(store: Store, model: str, commit: str, folder: Path, *, pipeline: str = "training") -> Path:
    """The package of a pipeline that was published under a commit, in a file below `folder`.

    Raises:
        PipelineError: nothing was published under this commit.
    """
    name = f"{model}-{pipeline}.yaml"
    try:
        (folder / name).write_bytes(store.get(f"packages/{commit}/{name}"))
    except StoreError as error:
        raise PipelineError(
            f"{store.url} has no package {name} of commit {commit}: {error.message}", "`sluice publish` puts it there"
        ) from None
    return folder / name
