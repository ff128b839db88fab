"""`make release`: push the images, and name them by digest in manifests, settings and compiled packages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.images.build import Built, build
from tools.images.engine import Engine, find_engine
from tools.images.errors import ImageError
from tools.images.pins import Pin, pin_all
from tools.images.places import NAMES, ROOT, home


def release(
    registry: str,
    *,
    use_case: Path,
    targets: Sequence[str] = tuple(NAMES),
    base: str | None = None,
    manifests: Path = ROOT / "manifests",
    packages: Path = ROOT / "build/pipelines",
    modified: bool = False,
) -> dict[str, Pin]:
    """Build what changed, push it under `registry`, pin it, and compile the packages with the pinned images.

    Raises:
        ImageError: the sources are not those of a commit (unless `modified`), or a step fails.
    """
    check_registry(registry)
    engine = find_engine()
    images = build(targets, base)
    if not modified and (unclean := [each.target for each in images if each.revision.endswith("-modified")]):
        raise ImageError(f"{', '.join(unclean)}: built of sources that no commit holds", "commit, then release")
    pins = {built.target: push(engine, built, registry) for built in images}
    for path in pin_all(manifests, pins):
        print(f"pinned in {path}")
    compile_packages(use_case, manifests / "settings/cluster.yaml", packages)
    (home() / "release.json").write_text(json.dumps({target: str(pin) for target, pin in pins.items()}, indent=2))
    return pins


def check_registry(registry: str) -> None:
    """Refuse what no image's name can begin with."""
    if not re.fullmatch(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*", registry):
        raise ImageError(f"{registry!r} is no registry", "give REGISTRY=host[:port][/path], without https://")


def push(engine: Engine, built: Built, registry: str) -> Pin:
    """Push an image under its version's tag; its name there and the digest that the registry gave."""
    name = f"{registry}/{NAMES[built.target]}"
    print(f"pushing {name}:{built.version}", flush=True)
    pin = Pin(name, engine.push(built.reference, f"{name}:{built.version}", plain=_is_here(registry)))
    print(f"pushed {pin}")
    return pin


def _is_here(registry: str) -> bool:
    # As docker does: a registry on this machine speaks no TLS.
    return registry.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0] in ("localhost", "127.0.0.1")


def compile_packages(use_case: Path, overlay: Path, folder: Path) -> None:
    """Compile a use case with the settings of `overlay` laid over it, as `make compile` does."""
    command: list[str | Path] = [
        Path(sys.executable).parent / "sluice",
        "compile",
        use_case,
        "--overlay",
        overlay,
        "--out",
        folder,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"sluice compile: {done.stderr.strip()}")
    print(f"compiled into {folder}")
