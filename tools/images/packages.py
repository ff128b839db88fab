"""How a build reaches packages: the caller's own settings of uv and pip, and his cache. No layer keeps them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.images.errors import ImageError
from tools.images.places import ROOT

INSIDE = "/caller/uv"
_KEPT_OUT = ("UV_CACHE_DIR", "UV_PYTHON", "UV_PROJECT", "UV_TOOL", "UV_CONFIG_FILE", "UV_LINK_MODE")


def find_uv() -> Path:
    """The uv command here, put into `.uv` when there is none, as `make setup` does."""
    own = ROOT / ".uv/bin/uv"
    found = shutil.which("uv", path=f"{os.environ['PATH']}:{Path.home()}/.local/bin")
    if found or own.exists():
        return Path(found or own).resolve()
    try:
        subprocess.run([sys.executable, "-m", "venv", own.parent.parent], check=True, capture_output=True)
        subprocess.run(
            [own.parent / "python", "-m", "pip", "install", "--quiet", "uv"], check=True, capture_output=True
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())[-300:]
        raise ImageError(f"uv is missing and cannot be installed: {said}", "install uv, then try again") from None
    return own.resolve()


def secrets(
    folder: Path, *, inside: str | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Path]:
    """Files for the build's secrets `packages` (a shell's exports) and `certificates`; `inside`: uv's cache there."""
    given = os.environ if environment is None else environment
    exports = _exports(given) | ({"UV_CACHE_DIR": inside} if inside else {})
    packages = folder / "packages"
    packages.touch(mode=0o600)
    packages.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(exports.items())))
    certificates = given.get("SSL_CERT_FILE") or given.get("REQUESTS_CA_BUNDLE") or given.get("PIP_CERT")
    held = {"packages": packages}
    if certificates and Path(certificates).is_file():
        held["certificates"] = Path(certificates).resolve()
    return held


def cache(uv: Path) -> dict[Path, str]:
    """The caller's cache of uv, to be seen by the build: packages that lie in it are not fetched again."""
    found = Path(subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip())
    return {found: INSIDE} if found.is_dir() else {}


def _exports(given: Mapping[str, str]) -> dict[str, str]:
    """Indexes, credentials and proxies; pip's index for uv where uv has none of its own."""
    exported = {
        name: value
        for name, value in given.items()
        if (name.startswith("UV_") and not name.startswith(_KEPT_OUT)) or name.lower().endswith("_proxy")
    }
    if index := given.get("PIP_INDEX_URL"):
        exported.setdefault("UV_DEFAULT_INDEX", index)
    if more := given.get("PIP_EXTRA_INDEX_URL"):
        exported.setdefault("UV_INDEX", more)
    return exported
