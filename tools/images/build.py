"""Build the images, measure them, and leave archives for clusters without a registry."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.images import inputs, packages, sizes
from tools.images.base import starting_points
from tools.images.engine import Build, Engine, find_engine
from tools.images.places import CONTAINERFILE, NAMES, ROOT, home, reference, version


@dataclass(frozen=True)
class Built:
    """An image as it was built last: what from, what of, how large, and where its archive lies."""

    target: str
    reference: str
    identity: str
    inputs: str
    base: str
    version: str
    revision: str
    compressed: int
    unpacked: int
    archive: str

    def line(self) -> str:
        """For people."""
        megabytes = f"{self.compressed / 1e6:,.0f} MB compressed, {self.unpacked / 1e6:,.0f} MB unpacked"
        return f"{self.reference}: {megabytes}, of {self.revision[:12]}, in {self.archive}"


def build(targets: Sequence[str] = tuple(NAMES), base: str | None = None) -> list[Built]:
    """Build what changed since it was built last; all that is asked for is in the engine and in an archive then.

    Raises:
        ImageError: no engine, no base, a step that fails, or an image that outgrew its limits.
    """
    engine = find_engine()
    done = []
    with (home() / "lock").open("w") as lock:
        # Two at once would hold every layer twice: the second waits, and finds what the first built.
        fcntl.flock(lock, fcntl.LOCK_EX)
        starts = starting_points(engine, base)
        for target in targets:
            wanted = inputs.digest(target, {"BASE": engine.identity(starts["BASE"])})
            found = record(target)
            if found is not None and found.inputs != wanted and os.environ.get("SLUICE_IMAGES") == "keep":
                print(f"!! SLUICE_IMAGES=keep: {target} IS NOT BUILT OF WHAT LIES HERE", file=sys.stderr)
            elif found is None or not _stands(found, wanted, engine):
                found = _build(target, starts, wanted, engine)
            sizes.check(target, found.compressed, found.unpacked)
            print(found.line(), flush=True)
            done.append(found)
    return done


def record(target: str) -> Built | None:
    """The target's last build, if there was one."""
    try:
        return Built(**json.loads(_record(target).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _record(target: str) -> Path:
    return home() / f"{target}.json"


def _stands(found: Built, wanted: str, engine: Engine) -> bool:
    return (
        (found.inputs, found.version) == (wanted, version())
        # What was not committed then and is now gets its label: all layers but the last are there.
        and not (found.revision.endswith("-modified") and not inputs.labels()["REVISION"].endswith("-modified"))
        and Path(found.archive).exists()
        and engine.has(found.reference)
        and engine.identity(found.reference) == found.identity
    )


def _build(target: str, starts: dict[str, str], wanted: str, engine: Engine) -> Built:
    tag, labels = reference(target), inputs.labels()
    print(f"building {tag} with {engine.name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="sluice-build-") as folder:
        folders = {} if engine.name == "docker" else packages.cache(packages.find_uv())
        secrets = packages.secrets(Path(folder), inside=next(iter(folders.values()), None))
        engine.build(Build(target, tag, {**starts, **labels}, secrets, folders), ROOT, CONTAINERFILE)
    archive, packed = _write_archive(engine, target, tag)
    built = Built(
        target=target,
        reference=tag,
        identity=engine.identity(tag),
        inputs=wanted,
        base=starts["BASE"],
        version=labels["VERSION"],
        revision=labels["REVISION"],
        compressed=packed,
        unpacked=sizes.unpacked(engine, tag),
        archive=str(archive),
    )
    _record(target).write_text(json.dumps(asdict(built), indent=2))
    return built


def _write_archive(engine: Engine, target: str, tag: str) -> tuple[Path, int]:
    archive, part = home() / f"{target}.tar", home() / f"{target}.tar.part"
    if engine.name == "docker":
        engine.save(tag, part)
        packed = sizes.squeezed(part)
    else:
        with tempfile.TemporaryDirectory(prefix=f"{target}-", dir=home()) as folder:
            layout = Path(folder)
            engine.layout(tag, layout)
            packed = sizes.compressed(layout)
            sizes.name(layout, tag)
            subprocess.run(["tar", "-C", layout, "-cf", part, "."], check=True)
    part.replace(archive)
    return archive, packed
