"""Why is this version live? The log told as a story, for people and for programs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sluice.errors import StoreError
from sluice.registry.decision import Decision

if TYPE_CHECKING:
    from sluice.registry.registry import Registry

_GATE_OF_RUN = "gate of run "
MAKES_LIVE = frozenset({"promoted", "approved", "rolled-back"})


def why(registry: Registry) -> dict[str, Any]:
    """What is live and why.

    Returns:
        model, champion (digest or None), decision (the entry that made it live), verdict (the gate's document or
        None when it is gone), replaced (digest), pinned, frozen, awaiting, cleared, rollout, history (entries that
        changed what is live, oldest first), retrainings (those that the monitor started: `trigger`, its entry with
        windows and tests, `run`, and `verdict`, the gate's entry about it or None), alert (the monitor's last one) and
        text (the same for a person).
    """
    log, state = registry.log(), registry.state()
    history = [one for one in log if one.kind in MAKES_LIVE and not one.figures.get("rollout")]
    story: dict[str, Any] = {
        "model": registry.model,
        "champion": state.champion,
        "decision": None,
        "verdict": None,
        "replaced": history[-2].version if len(history) > 1 else None,
        "pinned": _brief(state.pinned),
        "frozen": _brief(state.frozen),
        "awaiting": sorted(state.awaiting),
        "cleared": list(state.cleared),
        "rollout": _brief(state.rollout),
        "last": _brief(log[-1]) if log else None,
        "history": [_brief(decision) for decision in history],
        "retrainings": [_retraining(log, decision) for decision in log if decision.kind == "retraining"],
        "alert": _brief(next((decision for decision in reversed(log) if decision.kind == "alerted"), None)),
    }
    if history:
        story["decision"] = _brief(history[-1])
        story["verdict"] = _verdict(registry, log, history[-1])
    return story | {"text": _text(story)}


def _verdict(registry: Registry, log: list[Decision], decision: Decision) -> dict[str, Any] | None:
    # An approval or a rollback rests on the verdict that let the version through.
    judged = [d for d in log[: decision.number] if d.version == decision.version and "verdict.json" in d.evidence]
    if not judged:
        return None
    try:
        document = json.loads(registry.store.get_blob(judged[-1].evidence["verdict.json"]))
    except (StoreError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def verdict_on(log: list[Decision], trigger: Decision) -> Decision | None:
    """What the gate said of the run that a `retraining` entry started, or of a later attempt at it (`<run>-2`)."""
    own = re.compile(re.escape(_GATE_OF_RUN + str(trigger.figures["run"])) + r"(-\d+)?")
    judged = [d for d in log[trigger.number :] if d.kind != "opened" and own.fullmatch(d.actor)]
    return judged[-1] if judged else None


def _retraining(log: list[Decision], trigger: Decision) -> dict[str, Any]:
    """A run that the monitor started, and what the gate said of it."""
    verdict = _brief(verdict_on(log, trigger))
    return {"trigger": _brief(trigger), "run": str(trigger.figures["run"]), "verdict": verdict}


def _brief(decision: Decision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "number": decision.number,
        "kind": decision.kind,
        "version": decision.version,
        "actor": decision.actor,
        "reason": decision.reason,
        "time": decision.time.isoformat(),
        "evidence": decision.evidence,
        "figures": decision.figures,
    }


def _text(story: dict[str, Any]) -> str:
    if story["champion"] is None:
        lines = [f"{story['model']} has no champion."]
    else:
        made = story["decision"]
        lines = [
            f"{story['model']}: version {story['champion'][:12]} is live since {_minute(made)}.",
            f"It was {made['kind']} by {made['actor']} (decision {made['number']}){_because(made)}.",
        ]
        if story["replaced"]:
            lines.append(f"It replaced version {story['replaced'][:12]}.")
        lines += _checks(story["verdict"])
    for name in ("pinned", "frozen"):
        if story[name]:
            lines.append(f"It is {name} since {_minute(story[name])} by {story[name]['actor']}{_because(story[name])}.")
    lines += [f"Version {version[:12]} awaits approval." for version in story["awaiting"]]
    lines += [f"Version {version[:12]} is cleared for a rollout." for version in story["cleared"]]
    if story["rollout"]:
        lines.append(f"Version {story['rollout']['version'][:12]} is being rolled out{_because(story['rollout'])}.")
    lines += _watching(story)
    last = story["last"]
    if last and last != story["decision"]:
        about = f" version {last['version'][:12]}" if last["version"] else ""
        lines.append(f"The last decision: {last['kind']}{about} by {last['actor']}, {_minute(last)}{_because(last)}.")
    return "\n".join(lines)


def _checks(verdict: dict[str, Any] | None) -> list[str]:
    if verdict is None:
        return ["The gate's verdict is not among its evidence."]
    lines = ["The gate's checks:"]
    for check in verdict.get("checks", []):
        mark = "passed" if check.get("passed") else "failed"
        lines.append(f"  {mark}  {check.get('name')}: {check.get('text', '')}".rstrip(": "))
    return lines


def _watching(story: dict[str, Any]) -> list[str]:
    """How the champion came of a run that the monitor started; the last such run; the last alert."""
    lines: list[str] = []
    if story["retrainings"]:
        *before, last = story["retrainings"]
        own = [one for one in before if one["verdict"] and one["verdict"]["version"] == story["champion"]]
        for chain in (*own[-1:], last):
            lines += _chain(chain)
    if story["alert"]:
        alert = story["alert"]
        lines.append(f"The monitor alerted at {_minute(alert)} (decision {alert['number']}){_because(alert)}.")
    return lines


def _chain(chain: dict[str, Any]) -> list[str]:
    trigger, verdict = chain["trigger"], chain["verdict"]
    lines = [f"The monitor started run {chain['run']} at {_minute(trigger)} (decision {trigger['number']}):"]
    for window in trigger["figures"]["windows"]:
        lines.append(f"  window {window['days']}: {'; '.join(window['tests'])}")
    if verdict is None:
        return [*lines, "  the gate has not judged it."]
    told = f"  verdict: version {verdict['version'][:12]} {verdict['kind']} (decision {verdict['number']})"
    return [*lines, f"{told}{_because(verdict)}."]


def _because(entry: dict[str, Any]) -> str:
    return f": {entry['reason']}" if entry["reason"] else ""


def _minute(entry: dict[str, Any]) -> str:
    return str(entry["time"])[:16].replace("T", " ")
