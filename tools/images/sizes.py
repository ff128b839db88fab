"""How large an image is: as a registry holds it, and as a node does."""

from __future__ import annotations

import json
import subprocess
import zlib
from pathlib import Path

from tools.images.engine import Engine
from tools.images.errors import ImageError

LIMITS = {"serving": (700, 1000)}
"""Megabytes compressed and unpacked that a target may have."""

_CONTAINERD = "io.containerd.image.name"
_CHUNK = 1 << 20


def compressed(layout: Path) -> int:
    """Bytes of the layers of an OCI layout that holds one image."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(_blob(layout, entry["digest"]).read_text())
    return sum(int(layer["size"]) for layer in manifest["layers"])


def name(layout: Path, tag: str) -> None:
    """Name the image of a layout in containerd's way too, which else puts a prefix of its own before it."""
    index = json.loads((layout / "index.json").read_text())
    (entry,) = index["manifests"]
    entry.setdefault("annotations", {})[_CONTAINERD] = tag
    (layout / "index.json").write_text(json.dumps(index))


def _blob(layout: Path, digest: str) -> Path:
    """The file of a digest."""
    return layout / "blobs" / digest.replace(":", "/")


def squeezed(archive: Path) -> int:
    """Bytes of an archive of uncompressed layers once it is compressed, as near as that tells."""
    packer, total = zlib.compressobj(6), 0
    with archive.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


def unpacked(engine: Engine, tag: str) -> int:
    """Bytes of the image's layers on a node's disk."""
    if engine.name == "buildah":
        return _mounted_size(tag)
    said = subprocess.run(
        [engine.name, "image", "inspect", "--format", "{{.Size}}", tag], capture_output=True, text=True, check=True
    )
    return int(said.stdout)


def _mounted_size(tag: str) -> int:
    def buildah(*words: str) -> str:
        return subprocess.run(["buildah", *words], capture_output=True, text=True, check=True).stdout.strip()

    container = buildah("from", tag)
    try:
        counted = subprocess.run(["du", "-sb", buildah("mount", container)], capture_output=True, text=True, check=True)
        return int(counted.stdout.split()[0])
    finally:
        buildah("rm", container)


def check(target: str, packed: int, plain: int) -> None:
    """Refuse an image that outgrew its limits.

    Raises:
        ImageError: it did.
    """
    for name, size, limit in zip(("compressed", "unpacked"), (packed, plain), LIMITS.get(target, ()), strict=False):
        if size > limit * 10**6:
            raise ImageError(
                f"{target}: {size / 1e6:.0f} MB {name}, {limit} MB are allowed",
                f"look for what came in: git diff requirements/{target}.txt",
            )
