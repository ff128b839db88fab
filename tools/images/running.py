"""Running an image as strictly as a restricted pod: read-only root, no capability, no network, its own user."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Sequence

from tools.images.errors import ImageError

STRICT = ("--network=none", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


def runner() -> list[str]:
    """Podman as it runs without systemd too, or docker.

    Raises:
        ImageError: neither is here; buildah alone cannot run an image this way.
    """
    if shutil.which("podman"):
        runtime = ["--runtime=runc"] if shutil.which("runc") else []
        return ["podman", "--cgroup-manager=cgroupfs", *runtime]
    if shutil.which("docker"):
        return ["docker"]
    raise ImageError("nothing here runs images", "apt-get install podman runc")


def start(*options: str) -> list[str]:
    """The words before the image's name."""
    return [*runner(), "run", *options, *STRICT, *_limits()]


def printed(reference: str, program: str) -> str:
    """What a Python program prints in the image's environment.

    Raises:
        ImageError: it fails.
    """
    command = [*start("--rm", "--entrypoint=python3"), reference, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise ImageError(f"{reference}: {' '.join(done.stderr.split())[-500:]}")
    return done.stdout


def _limits() -> Sequence[str]:
    # Podman asks for more files and processes than a machine without CAP_SYS_RESOURCE may give.
    if runner()[0] == "docker":
        return []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ["--read-only-tmpfs=false", f"--ulimit=nofile={soft}:{hard}", "--ulimit=nproc=8192:8192"]
