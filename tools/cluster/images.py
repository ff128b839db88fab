"""Container images for the cluster: a small one of a single static program, and the import of any archive."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tools.cluster.places import PROGRAMS

NOBODY = "65532:65532"


def write_image(archive: Path, name: str, program: str) -> Path:
    """An image `name` that holds nothing but `tools/servers/bin/PROGRAM`, run as nobody, as `docker save` writes it."""
    return write_files_image(archive, name, {program: (PROGRAMS / program).read_bytes()}, entrypoint=[f"/{program}"])


def write_files_image(archive: Path, name: str, files: dict[str, bytes], entrypoint: list[str] | None = None) -> Path:
    """An image `name` of these files, all executable, run as nobody, as `docker save` writes it."""
    layer = _tar(files, mode=0o755)
    digest = hashlib.sha256(layer).hexdigest()
    configuration = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "User": NOBODY, "Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    documents = {
        "config.json": json.dumps(configuration).encode(),
        "manifest.json": json.dumps(manifest).encode(),
        "layer.tar": layer,
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(_tar(documents, mode=0o644))
    return archive


def import_command(archive: Path) -> list[str]:
    """What makes containerd know the images of an archive, OCI's or docker's, under their full names."""
    return ["ctr", "--namespace=k8s.io", "images", "import", str(archive)]


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
