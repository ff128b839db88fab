"""Judge, write the evidence, decide. If the champion changed meanwhile, the gate runs again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sluice import digests
from sluice.errors import ConflictError, GateError, RegistryError
from sluice.gate import judge
from sluice.gate.case import Case
from sluice.gate.verdict import Check, Verdict
from sluice.promotion.case import Folders, build_case
from sluice.promotion.evidence import decision_kind, write_evidence
from sluice.registry import Decision, Registry, RunLog, Version, open_registry
from sluice.registry.kubeflow import KubeflowIndex, version_uri
from sluice.settings import UseCase
from sluice.steps import Progress, emit, silent

ATTEMPTS = 3
"""How often the gate runs anew because somebody else's challenger was promoted meanwhile."""


@dataclass(frozen=True)
class Gated:
    """What was decided on which version, and the figures worth showing."""

    decision: str
    version: str
    metrics: dict[str, float]


def gate_challenger(
    use_case: UseCase,
    *,
    run_id: str,
    challenger: Path,
    train: Path,
    sealed: Path,
    history: Path,
    folder: Path,
    progress: Progress = silent,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Gated:
    """Register the challenger, judge it, and record the decision.

    Writes into `folder`: verdict.json, report.html, card.md, card.html, sealed_scores.parquet, sealed_metrics.json,
    decision.json.

    Raises:
        GateError: the champion changed each time the gate was done.
    """
    folders = Folders(challenger, train, sealed, history)
    registry = open_registry(use_case, clock=clock, actor=f"gate of run {run_id}")
    progress("register", 0, 4)
    version = registry.add_version(challenger / "version", folders.document())
    for _ in range(ATTEMPTS):
        progress("judge", 1, 4)
        case = build_case(use_case, folders, version, registry)
        verdict = _judged(case, registry, version)
        progress("report", 2, 4)
        withdrawn = version.digest in registry.state().withdrawn
        kind = decision_kind(use_case, verdict, withdrawn=withdrawn, first=case.champion is None)
        evidence = write_evidence(folders, case, verdict, folder, decision=kind, run=run_id, written=clock())
        progress("decide", 3, 4)
        try:
            decision = _decide(kind, registry, version, case, verdict, evidence)
        except ConflictError:
            continue
        gated = _finish(registry, run_id, verdict, decision, folder, clock)
        _make_known(use_case, registry, version, gated)
        return gated
    raise GateError(
        f"the champion of {use_case.name} changed {ATTEMPTS} times while the gate was judging",
        "run the pipeline again when the other runs are done",
    )


def _judged(case: Case, registry: Registry, version: Version) -> Verdict:
    """The verdict; while promotion is stopped the seal stays closed."""
    state = registry.state()
    obstacle = state.obstacle(version.digest, approved=True)
    if obstacle is None or version.digest == state.champion:
        return judge(case)
    check = Check("promotion", False, f"nothing can be promoted now: {obstacle}")
    return Verdict((check,), opened=False, metric=case.use_case.gate.metric, alpha=case.use_case.gate.alpha)


def _decide(
    kind: str, registry: Registry, version: Version, case: Case, verdict: Verdict, evidence: dict[str, Path]
) -> Decision:
    return registry.settle(
        kind,
        version=version.digest,
        against=case.champion.digest if case.champion else None,
        reason=verdict.reason(),
        evidence=evidence,
        figures={"counts": dict(verdict.counts)},
    )


def _finish(
    registry: Registry,
    run_id: str,
    verdict: Verdict,
    decision: Decision,
    folder: Path,
    clock: Callable[[], datetime],
) -> Gated:
    assert decision.version is not None
    decided = {
        "format": 1,
        "run": run_id,
        "kind": decision.kind,
        "number": decision.number,
        "reason": decision.reason,
        "version": decision.version,
        "champion": registry.state().champion,
    }
    (folder / "decision.json").write_bytes(digests.canonical_json(decided))
    metrics = _metrics(verdict)
    RunLog(registry.store, registry.model, clock=clock).finish(
        run_id,
        decision.kind,
        metrics=metrics,
        artifacts={"version": decision.version, "decision": str(decision.number), **decision.evidence},
        message=decision.reason,
    )
    return Gated(decision.kind, decision.version, metrics)


def _make_known(use_case: UseCase, registry: Registry, version: Version, gated: Gated) -> None:
    """Register the version in Kubeflow's model registry. The decision stands whether or not that answers."""
    address = use_case.storage.model_registry
    if address is None:
        return
    index = KubeflowIndex(address)
    try:
        uri = version_uri(registry.store, version)
        index.register(version, uri=uri, metrics=gated.metrics, author=registry.actor)
    except RegistryError as error:
        emit(kind="warning", step="gate", message=error.message, hint=error.hint)


def _metrics(verdict: Verdict) -> dict[str, float]:
    """The gate's metric of the challenger and of whom it met, and how many checks passed."""
    found: dict[str, float] = {"checks passed": sum(c.passed for c in verdict.checks), "checks": len(verdict.checks)}
    for check in verdict.checks:
        ours, theirs = check.figures.get("ours"), check.figures.get("theirs")
        if isinstance(ours, float) and isinstance(theirs, float):
            found |= {f"challenger {verdict.metric}": ours, f"{check.figures['against']} {verdict.metric}": theirs}
    return found
