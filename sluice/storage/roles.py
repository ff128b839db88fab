"""Who may do what in an S3 store: one table, from which the policies are made and which the tests hold MinIO to.

Keys of the store: `registry/<model>/{log,versions,signatures,runs,rollout}/…`, `data/`, `blobs/`, `checkpoints/`,
`payloads/` (the payload ledger), `monitoring/` (windows on record) and `handover/` (what steps give to jobs and get
back). Kubeflow puts the outputs of steps beside them, under the pipeline root:
`<root>/<pipeline>/<run>/<step>/<id>/<output>`, a file or a folder. An output is named `step/output` here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sluice.errors import SettingsError

LOG = "registry/*/log/*"
LEASE = "registry/*/rollout/*"
SIGNED = ("registry/*/versions/*", "registry/*/signatures/*")
LOGS = "executor-logs"
"""Where Kubeflow puts what a step prints, when it is told to."""
UNSEEN = (
    *("ingest/history", "features/rows", "split/sealed", "score/scores"),
    *("gate/report", "gate/card", "gate/verdict", "gate-selftest/result"),
    *("gather/gathered", "gather/window", "judge/report", "judge/found"),
)
"""Outputs that training never reads: the raw history, all rows, the sealed ones, what gate and monitor found."""


@dataclass(frozen=True)
class Role:
    """A user of the store.

    Attributes:
        reads, writes, deletes: patterns of keys in the store.
        takes, gives: outputs (`step/output`) that it reads and writes under the pipeline root.
        sources: whether it reads the raw data.
        decides: whether it writes decisions, which it locks.
        probes: whether it asks for keys that may not be there.
        purges: whether what it deletes is gone with all its versions.
    """

    name: str
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    sources: bool = False
    decides: bool = False
    probes: bool = True
    purges: bool = False


ROLES = {
    role.name: role
    for role in (
        # plan, ingest, features, split, candidates, materialise; and score, which fetches the champion.
        Role(
            "preparer",
            takes=("ingest/history", "features/rows"),
            gives=(
                *("ingest/history", "ingest/metrics", "ingest/quarantine", "features/rows"),
                *("split/train", "split/validation", "split/sealed", "split/metrics"),
                *("materialise/metrics", "score/scores", "score/metrics"),
                *(f"{step}/{LOGS}" for step in ("plan", "ingest", "features", "split", "candidates", "materialise")),
                f"score/{LOGS}",
            ),
            reads=("registry/*", "blobs/*"),
            writes=("registry/*/runs/*",),
            sources=True,
        ),
        # train, select.
        Role(
            "trainer",
            takes=("split/train", "split/validation", "train/model"),
            gives=(
                *("train/model", "train/metrics", f"train/{LOGS}"),
                *("select/challenger", "select/metrics", "select/curve", "select/ladder", f"select/{LOGS}"),
            ),
            reads=("checkpoints/*", "handover/train/*"),
            writes=("checkpoints/*", "handover/train/*"),
            deletes=("checkpoints/*", "handover/train/*"),
            probes=False,
        ),
        # gate, gate's self-test, decide; people who approve, roll back, pin or freeze.
        Role(
            "gate",
            takes=("select/challenger", "split/train", "split/validation", "split/sealed", "ingest/history"),
            gives=(
                *("gate/report", "gate/card", "gate/metrics", "gate/verdict", f"gate/{LOGS}"),
                *("gate-selftest/result", "gate-selftest/metrics", f"gate-selftest/{LOGS}"),
                *("decide/told", f"decide/{LOGS}"),
            ),
            reads=("registry/*", "blobs/*", "data/*", "monitoring/*"),
            writes=(LOG, *(f"registry/*/{part}/*" for part in ("versions", "signatures", "runs")), "blobs/*", "data/*"),
            decides=True,
        ),
        # Who moves the traffic: adds each step to the log, and keeps a sign of life. What it promotes it signs, unless
        # the gate did with the same key.
        Role(
            "rollout",
            reads=(LOG, *SIGNED, "blobs/*", LEASE),
            writes=(LOG, "registry/*/signatures/*", LEASE),
            deletes=(LEASE,),
            decides=True,
        ),
        # The model server. A version's files and a decision's evidence are blobs alike.
        Role("server", reads=(LOG, *SIGNED, "blobs/*")),
        # The payload ledger's receiver: it adds, and reads nothing back.
        Role("receiver", writes=("payloads/*",), probes=False),
        # gather, detect, judge: what is served is looked at, and put on record. It decides nothing.
        Role(
            "monitor",
            takes=("gather/gathered", "gather/window", "detect/finding"),
            gives=(
                *("gather/gathered", "gather/window", "detect/finding"),
                *("judge/report", "judge/metrics", "judge/found"),
                *(f"{step}/{LOGS}" for step in ("gather", "detect", "judge")),
            ),
            reads=(LOG, *SIGNED, "blobs/*", "payloads/*", "monitoring/*"),
            writes=("monitoring/*",),
            sources=True,
        ),
        # compact: the payload ledger's small files become few, and days that are too old go.
        Role(
            "keeper",
            gives=("compact/metrics", f"compact/{LOGS}"),
            reads=("payloads/*",),
            writes=("payloads/*",),
            deletes=("payloads/*",),
            purges=True,
        ),
        # The exporter: what the monitor recorded, and the log.
        Role("exporter", reads=(LOG, "monitoring/*")),
    )
}
"""By name."""


def roles_with(*, rollout_labels: bool) -> dict[str, Role]:
    """The roles; with `rollout.labels` the rollout reads what was answered, and the labels' source."""
    if not rollout_labels:
        return ROLES
    rollout = ROLES["rollout"]
    return {**ROLES, "rollout": replace(rollout, reads=(*rollout.reads, "payloads/*"), sources=True)}


@dataclass(frozen=True)
class Places:
    """Where things lie: the bucket, the store's prefix in it, the pipeline root's, and raw data (`bucket/prefix`)."""

    bucket: str
    store: str
    pipelines: str
    sources: tuple[str, ...]

    @staticmethod
    def of(url: str, pipelines: str = "pipelines", sources: tuple[str, ...] = ()) -> Places:
        """The places of a store's URL.

        Args:
            pipelines: the pipeline root's prefix in the bucket.
            sources: raw data (`s3://bucket/prefix`); default: `raw/` in the bucket.

        Raises:
            SettingsError: the store is no bucket, a source is none, or the pipeline root is the store itself.
        """
        parts, root = urlsplit(url), pipelines.strip("/")
        prefix = parts.path.strip("/")
        problems = [f"{each}: a source is s3://bucket/prefix" for each in sources if not each.startswith("s3://")]
        if parts.scheme != "s3":
            problems.append(f"storage.url: roles are for a bucket (s3://bucket/prefix), got {url}")
        if root in ("", prefix):
            problems.append("pipelines: the pipeline root needs a prefix of its own")
        if problems:
            raise SettingsError("roles", problems)
        raw = tuple(each.removeprefix("s3://").strip("/") for each in sources) or (f"{parts.netloc}/raw",)
        return Places(parts.netloc, f"{prefix}/" if prefix else "", f"{root}/", raw)
