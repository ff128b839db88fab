"""The command: up, down, status, exec."""

from __future__ import annotations

import os
import sys

from tools.cluster import cluster
from tools.cluster.errors import ClusterError
from tools.cluster.places import home

USAGE = """\
usage: python -m tools.cluster VERB
  prepare         build what is missing, and say what else the machine lacks
  up              build what is missing, start the cluster (anew, if it runs)
  down            end it
  status          whether it runs
  exec COMMAND…   run a command inside, with KUBECONFIG set: exec kubectl get pods -A"""


def main(arguments: list[str]) -> int:
    """Do what the first argument says."""
    verb, *rest = arguments or [""]
    if verb == "prepare" and not rest:
        cluster.prepare()
        return 0
    if verb == "up" and not rest:
        cluster.prepare()
        with cluster.held(home(), wait=False):
            cluster.up(home())
        return 0
    if verb == "down" and not rest:
        with cluster.held(home(), wait=False):
            cluster.down(home())
        return 0
    found = cluster.running(home())
    if verb == "status" and not rest:
        print(f"runs, process {found.namespace.first} holds it" if found else "does not run")
        return 0 if found else 1
    if verb == "exec" and rest:
        if found is None:
            raise ClusterError("there is no cluster", "python -m tools.cluster up")
        inside = found.namespace.command(rest)
        os.execvpe(inside[0], inside, found.environment)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ClusterError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
