"""Process 1 of the cluster's namespaces: sets up the network, hides what is the machine's, then only waits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tools.cluster.places import DATA_INSIDE, NODE_ADDRESS, PROGRAMS, SERVICE_RANGE, Home, home

NETWORK = f"""\
link set lo up
link add node0 type veth peer name node0-peer
link set node0-peer up
addr add {NODE_ADDRESS}/24 dev node0
link set node0 up
route add {SERVICE_RANGE} dev node0
"""
"""The node's address on a cable whose ends are both inside: there is no way out.

The services' route is for processes outside pods, which need one before kube-proxy's rules see the packet.
"""

FORWARDING = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
}
"""Settings of this network namespace alone."""

SHOWN = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Settings of the whole machine that the kubelet insists on: it is shown these values, nothing is set."""

OWN = ["/run", "/var/log", "/var/lib/cni"]
"""Folders where other container runtimes and kubelets keep their things: empty ones in their place."""


def main() -> None:
    """Set up, say so, and become the smallest program there is."""
    os.umask(0o022)  # a stricter one makes files that no container without root can read
    place = home()
    for each in OWN:
        if Path(each).is_dir():
            _run("mount", "-t", "tmpfs", "-o", "mode=755", "cluster", each)
    Path(DATA_INSIDE).mkdir()
    _run("mount", "--bind", str(place.data), DATA_INSIDE)
    subprocess.run(["ip", "-batch", "-"], input=NETWORK, text=True, check=True, env=_environment())
    for name, value in FORWARDING.items():
        Path("/proc/sys", name).write_text(value)
    _show(place)
    os.write(1, b"ready\n")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.execv(PROGRAMS / "pause", ["pause"])


def _show(place: Home) -> None:
    for name, value in SHOWN.items():
        shown = place.data / "shown" / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{name}")
        _run("mount", "-o", "remount,bind,ro", f"/proc/sys/{name}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, env=_environment())


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


if __name__ == "__main__":
    main()
