"""Stands in a step's pod where Kubeflow's launcher does: artifacts in, the command, artifacts out.

`python3 launcher.py EXECUTOR_INPUT -- COMMAND [ARGUMENT ...]`. Artifacts move between S3 and the path that the KFP SDK
derives from their address, with the credentials that the step's container has, as a launcher whose provider says
`fromEnv: true`. The last line of output, after `::outputs::`, holds parameters and artifacts as JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore.store import S3Store

ASKED = re.compile(r"\{\{\$\.(inputs|outputs)\.artifacts\['([\w-]+)'\]\.path\}\}")


def main(arguments: list[str]) -> int:
    """The exit status of the command."""
    split = arguments.index("--")
    given, command = json.loads(arguments[0]), arguments[split + 1 :]
    for artifacts in given["inputs"].get("artifacts", {}).values():
        for artifact in artifacts["artifacts"]:
            _bring(artifact["uri"])
    outputs = given["outputs"]
    for path in [outputs["outputFile"], *(one["outputFile"] for one in outputs.get("parameters", {}).values())]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    for artifacts in outputs.get("artifacts", {}).values():
        local(artifacts["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
    words = [_filled(part, given).replace("{{$}}", arguments[0]) for part in command]
    status = subprocess.run(words, check=False).returncode
    if status == 0:
        print("::outputs::" + json.dumps(_outputs(outputs)), flush=True)
    return status


def local(uri: str) -> Path:
    """Where the SDK's artifacts of this address lie in the container."""
    parts = urlsplit(uri)
    return Path("/") / parts.scheme / parts.netloc / parts.path.lstrip("/")


def _filled(part: str, given: dict[str, Any]) -> str:
    """A word of a container component's command: where an artifact lies."""

    def path(asked: re.Match[str]) -> str:
        return str(local(given[asked[1]]["artifacts"][asked[2]]["artifacts"][0]["uri"]))

    filled = ASKED.sub(path, part)
    if "{{$." in filled:
        raise ValueError(f"{part} is not covered here")
    return filled


def _outputs(outputs: dict[str, Any]) -> dict[str, Any]:
    written = Path(outputs["outputFile"])
    said = json.loads(written.read_text()) if written.exists() else {}
    parameters = said.get("parameterValues", {})
    for name, one in outputs.get("parameters", {}).items():
        if (path := Path(one["outputFile"])).exists():
            parameters[name] = path.read_text()
    artifacts = {name: one["artifacts"] for name, one in outputs.get("artifacts", {}).items()}
    artifacts |= {name: one["artifacts"] for name, one in said.get("artifacts", {}).items()}
    for each in artifacts.values():
        _take(each[0]["uri"])
    return {"parameters": parameters, "artifacts": artifacts}


def _bring(uri: str) -> None:
    store, key = _store(uri)
    path = local(uri)
    for chunk in store.list(key):
        for found in chunk:
            target = path / found["path"].removeprefix(key).lstrip("/")
            _write(target, bytes(store.get(found["path"]).bytes()))
    if not path.exists():
        # A file of its own is not under its key: listing goes by whole path segments.
        _write(path, bytes(store.get(key).bytes()))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _take(uri: str) -> None:
    store, key = _store(uri)
    path = local(uri)
    if path.is_file():
        store.put(key, path)
    for file in sorted(path.rglob("*")):
        if file.is_file():
            store.put(f"{key}/{file.relative_to(path)}", file)


def _store(uri: str) -> tuple[Any, str]:
    parts = urlsplit(uri)
    endpoint = os.environ["LAUNCHER_ENDPOINT"]
    options: Any = {"endpoint": endpoint, "region": "us-east-1", "virtual_hosted_style_request": False}
    return S3Store(parts.netloc, client_options={"allow_http": True}, **options), parts.path.lstrip("/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
