"""The node pool for training: labels, cards that can be given out, memory, taints."""

from __future__ import annotations

import re
from typing import Any

from sluice.settings import UseCase
from sluice_cli.doctor.finding import Findings
from sluice_serving.cluster import Cluster

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3}


def look_at_nodes(findings: Findings, cluster: Cluster, use_case: UseCase, _namespace: str) -> None:
    """Whether a training step would find a place."""
    gpu, wanted = use_case.pipeline.gpu, use_case.pipeline.training.memory
    if gpu.count == 0:
        findings.ok("GPU pool", "not asked for (pipeline.gpu.count is 0)")
        return
    pool = [
        node
        for node in cluster.items("/api/v1/nodes")
        if node["metadata"].get("labels", {}).get(gpu.node_label) == gpu.node_value
    ]
    if not pool:
        advice = "install GPU feature discovery, or label the nodes, or set pipeline.gpu (count: 0 trains on CPUs)"
        findings.miss("GPU pool", f"no node has {gpu.node_label}={gpu.node_value}", advice)
        return
    cards = [amount(node["status"]["allocatable"].get(gpu.resource, "0")) for node in pool]
    if max(cards) < gpu.count:
        advice = f"install the device plugin and the driver: a training step asks for {gpu.count} {gpu.resource}"
        findings.miss("GPU pool", f"{len(pool)} nodes, {sum(cards):.0f} {gpu.resource} to be had", advice)
        return
    memory = max(amount(node["status"]["allocatable"]["memory"]) for node in pool)
    if memory < amount(wanted):
        advice = f"set pipeline.training.memory (now {wanted}) to what a node has"
        findings.miss("GPU pool", f"a node has {memory / 2**30:.1f} GiB at most", advice)
        return
    findings.ok("GPU pool", f"{len(pool)} nodes, {sum(cards):.0f} cards, up to {memory / 2**30:.1f} GiB")
    _taints(findings, pool, gpu.toleration)


def amount(quantity: str) -> float:
    """A Kubernetes quantity (`16Gi`, `500m`, `2`) as a number."""
    match = re.fullmatch(r"([0-9.]+)(m|k|Ki|M|Mi|G|Gi|Ti)?", quantity)
    return float(match[1]) * _UNITS[match[2] or ""] if match else 0.0


def _taints(findings: Findings, pool: list[dict[str, Any]], tolerated: str) -> None:
    strange = {
        taint["key"]
        for node in pool
        for taint in node["spec"].get("taints", [])
        if taint["effect"] != "PreferNoSchedule" and taint["key"] != tolerated
    }
    if strange:
        advice = "training tolerates only pipeline.gpu.toleration: set it, or lift the others"
        findings.warn("GPU pool's taints", ", ".join(sorted(strange)), advice)
