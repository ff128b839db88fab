"""A real single-node Kubernetes for the tests, in network, mount and process namespaces of its own.

`python -m tools.cluster up | down | status | exec COMMAND…`. `docs/cluster-tests.md` says what runs.
"""
