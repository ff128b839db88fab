"""What the Containerfile starts from: the pinned images, or stand-ins made here where no registry is reachable."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.images.engine import Build, Engine
from tools.images.errors import ImageError
from tools.images.packages import find_uv
from tools.images.places import CONTAINERFILE

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "libstdc++6", "python3.11")
LOCAL_BASE = f"localhost/sluice/base:{SUITE}-python3.11"
# What no container needs, as Debian's own slim images leave it out. Licences (usr/share/doc/*/copyright) stay.
_LEFT_OUT = (
    "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/groff", "usr/share/lintian",
    "var/cache", "var/lib/apt/lists", "var/log",
)  # fmt: skip


def pinned(name: str) -> str:
    """The default of the Containerfile's argument BASE or UV."""
    found = re.search(rf"^ARG {name}=(\S+@sha256:[0-9a-f]{{64}})$", CONTAINERFILE.read_text(), re.MULTILINE)
    if found is None:
        raise ImageError(f"Containerfile: the argument {name} has no default with a digest")
    return found[1]


def starting_points(engine: Engine, base: str | None) -> dict[str, str]:
    """The arguments BASE and UV: `base` when given, else the pinned image; "local", or no registry: made here."""
    wanted = base or pinned("BASE")
    if wanted != "local" and engine.pull(wanted):
        start = wanted
    elif base and base != "local":
        raise ImageError(f"{base} cannot be pulled", "check the name, or log in; BASE=local makes a base here")
    else:
        if not base:
            print(f"{wanted} cannot be pulled here: the base is made with debootstrap", file=sys.stderr)
        start = local_base(engine)
    tool = pinned("UV")
    # Where the base had to be made here, asking another registry for uv would only wait.
    reachable = start != LOCAL_BASE and engine.pull(tool)
    return {"BASE": start, "UV": tool if reachable else local_uv(engine)}


def local_base(engine: Engine, *, anew: bool = False) -> str:
    """A Debian with its own Python, from debootstrap; the tag. Once made it stays in the engine's store."""
    if engine.has(LOCAL_BASE) and not anew:
        return LOCAL_BASE
    command = shutil.which("debootstrap", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if command is None:
        raise ImageError("debootstrap is missing", "apt-get install debootstrap, or give BASE=IMAGE")
    print(f"making {LOCAL_BASE} with debootstrap: about a minute, once", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="sluice-base-") as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        done = subprocess.run([command, *options, SUITE, root], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"debootstrap: {done.stdout.strip()[-300:]}", "it needs root, and a Debian mirror")
        _thin(root)
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-cf", archive, "."], check=True)
        engine.take_root(archive, LOCAL_BASE)
    return LOCAL_BASE


def local_uv(engine: Engine) -> str:
    """An image that holds the uv that is here, and nothing else; the tag."""
    uv = find_uv()
    version = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    tag = f"localhost/sluice/uv:{version}"
    if not engine.has(tag):
        with tempfile.TemporaryDirectory(prefix="sluice-uv-") as folder:
            context = Path(folder)
            shutil.copy(uv, context / "uv")
            (context / "Containerfile").write_text("FROM scratch\nCOPY uv /uv\n")
            engine.build(Build("", tag), context, context / "Containerfile")
    return tag


def _thin(root: Path) -> None:
    for name in _LEFT_OUT:
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    for path in (root / "usr/share/doc").rglob("*"):
        if path.name != "copyright" and (path.is_file() or path.is_symlink()):
            path.unlink()
