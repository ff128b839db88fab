"""The engine that builds images: docker, podman or buildah, whichever is there and works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.images.errors import ImageError

ORDER = ("docker", "podman", "buildah")


@dataclass(frozen=True)
class Build:
    """One target to build: its tag, arguments, files that no layer keeps, and folders seen while building."""

    target: str
    tag: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    folders: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Engine:
    """A command line that all three understand nearly alike."""

    name: str

    def build(self, wanted: Build, context: Path, containerfile: Path) -> None:
        """Build and tag it, reusing layers of former builds; the engine's output goes to the terminal."""
        command = [self.name, "build", *self._flags(wanted), "--tag", wanted.tag, "--file", str(containerfile)]
        command += [f"--target={wanted.target}"] if wanted.target else []
        for name, value in wanted.arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        for name, path in wanted.secrets.items():
            command += ["--secret", f"id={name},src={path}"]
        self._call([*command, str(context)], shown=True)

    def _flags(self, wanted: Build) -> Iterable[str]:
        if self.name == "docker":
            return
        yield "--layers"
        for here, there in wanted.folders.items():
            yield f"--volume={here}:{there}"

    def has(self, tag: str) -> bool:
        """Whether the image is in the engine's store."""
        return self._call(self._inspect(tag), check=False).returncode == 0

    def identity(self, tag: str) -> str:
        """The digest of the image's configuration."""
        found = json.loads(self._call(self._inspect(tag)).stdout)
        described: dict[str, Any] = found[0] if isinstance(found, list) else found
        return str(described.get("Id") or described["FromImageID"]).removeprefix("sha256:")

    def _inspect(self, tag: str) -> list[str]:
        words = ["inspect", "--type=image"] if self.name == "buildah" else ["image", "inspect"]
        return [self.name, *words, tag]

    def pull(self, reference: str) -> bool:
        """Whether the image is here now; a registry that does not answer within a minute is not there."""
        if self.has(reference):
            return True
        try:
            return self._call([self.name, "pull", "--quiet", reference], check=False, timeout=60).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def take_root(self, archive: Path, tag: str) -> None:
        """Make an image of one layer from the archive of a root folder."""
        if self.name != "buildah":
            self._call([self.name, "import", str(archive), tag])
            return
        container = self._call(["buildah", "from", "scratch"]).stdout.strip()
        try:
            self._call(["buildah", "add", "--quiet", container, str(archive), "/"])
            self._call(["buildah", "commit", "--quiet", container, tag])
        finally:
            self._call(["buildah", "rm", container])

    def push(self, tag: str, reference: str, *, plain: bool = False) -> str:
        """Push the image under another name; the digest there. `plain`: the registry speaks no TLS."""
        if self.name == "docker":
            self._call(["docker", "tag", tag, reference])
            self._call(["docker", "push", "--quiet", reference])
            said = self._call(["docker", "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', reference])
            repository = reference.rpartition(":")[0]
            return next(line for line in said.stdout.split() if line.startswith(f"{repository}@")).partition("@")[2]
        with tempfile.NamedTemporaryFile() as written:
            options = ["--quiet", f"--digestfile={written.name}", *(["--tls-verify=false"] if plain else [])]
            self._call([self.name, "push", *options, tag, f"docker://{reference}"])
            return Path(written.name).read_text().strip()

    def layout(self, tag: str, folder: Path) -> None:
        """Write the image as an OCI layout, its layers compressed as for a registry."""
        self._call([self.name, "push", "--quiet", tag, f"oci:{folder}:{tag}"], shown=True)

    def save(self, tag: str, archive: Path) -> None:
        """Write the image as one file, as `docker save` does."""
        self._call([self.name, "save", "--output", str(archive), tag])

    def _call(
        self, command: Sequence[str], *, check: bool = True, shown: bool = False, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        # Their own default, a container a step, needs rights that a build machine often lacks; ours is the only code.
        environment = {"BUILDAH_ISOLATION": "chroot", "DOCKER_BUILDKIT": "1", **os.environ}
        done = subprocess.run(
            command, env=environment, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL,
            stdout=None if shown else subprocess.PIPE, stderr=None if shown else subprocess.PIPE,
        )  # fmt: skip
        if check and done.returncode != 0:
            said = " ".join((done.stderr or "").split())[-500:]
            raise ImageError(f"{' '.join(command[:3])}: failed{': ' + said if said else ', see above'}")
        return done


def find_engine(names: Sequence[str] = ORDER) -> Engine:
    """The first that is installed and answers, or the one in `$SLUICE_ENGINE`."""
    asked = os.environ.get("SLUICE_ENGINE")
    for name in [asked] if asked else names:
        # A docker command without its daemon is often there.
        probe = [name, "info"]
        if shutil.which(name) and subprocess.run(probe, capture_output=True, check=False, timeout=60).returncode == 0:
            return Engine(name)
    tried = asked or "docker, podman, buildah"
    raise ImageError(f"nothing here builds images: tried {tried}", "apt-get install podman (or start docker)")
