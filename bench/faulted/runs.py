"""Runs that are killed at each step, changed midway, robbed of their outputs, or doubled."""

from __future__ import annotations

import json
import shutil
import time
from functools import partial

from faulted.fault import Fault, require
from faulted.place import Place

POINTS: list[tuple[str, dict[str, str]]] = [
    ("ingest", {"kind": "started", "step": "ingest"}),
    ("features", {"kind": "started", "step": "features"}),
    ("split", {"kind": "started", "step": "split"}),
    ("train", {"kind": "started", "step": "train logistic"}),
    ("select", {"kind": "started", "step": "select"}),
    ("gate, registering", {"kind": "progress", "step": "gate", "part": "register"}),
    ("gate, deciding", {"kind": "progress", "step": "gate", "part": "report"}),
    ("materialise", {"kind": "started", "step": "materialise"}),
]
MOMENT = 0.1
"""Seconds from the news that a step is at work to the kill."""


def _kill(point: dict[str, str], place: Place) -> str:
    before = place.registry().log()
    run = place.start()
    require(run.wait_for(**point), f"the run ended before it could be killed: {run.said.read_text()[-500:]}")
    time.sleep(MOMENT)
    run.kill()
    ended = run.ended()
    log = place.registry().log()
    require(log[: len(before)] == before, "decisions were lost")
    added = ", ".join(decision.kind for decision in log[len(before) :]) or "none"
    return f"store sound; decisions added: {added}; done before: {', '.join(ended.steps) or 'nothing'}"


def _repeated(place: Place) -> str:
    run = place.start()
    require(run.wait_for(kind="finished", step="plan"), f"no plan: {run.said.read_text()[-500:]}")
    (place.folder / "use_case.yaml").write_text("name: [rubbish")
    ended = run.ended()
    require(ended.status == 0, f"the run failed: {ended.said[-500:]}")
    champion = place.registry().champion()
    require(champion is not None, f"no champion: {ended.said[-500:]}")
    return f"champion {place.champion().digest[:12]}; steps run: {', '.join(ended.steps)}"


def _other_settings(place: Place) -> str:
    before = place.champion()
    place.changes = {
        "training.candidates": [
            {"id": "constant", "kind": "constant"},
            {"id": "logistic", "kind": "logistic", "params": {"C": 0.02}},
        ]
    }
    run = place.start()
    require(run.wait_for(kind="started", step="plan"), "the run never planned")
    run.kill()
    place.finished -= {"train logistic", "select", "candidates"}
    ended = place.run()
    require(ended.status == 0, f"the run failed: {ended.said[-500:]}")
    require({"train logistic", "select"} <= set(ended.steps), f"only {', '.join(ended.steps)} ran")
    registry = place.registry()
    settings = [
        json.loads(registry.store.get_blob(registry.version(digest).files["settings.json"]))
        for digest in registry.versions()
    ]
    trained = sorted(one["training"]["candidates"][1]["params"]["C"] for one in settings)
    require(trained == [0.01, 0.02], f"versions were trained with C of {trained}")
    require(before.digest in registry.versions(), "the first version is gone")
    return f"trained with the new settings; steps run: {', '.join(ended.steps)}"


def _output_deleted(place: Place) -> str:
    place.champion()
    gone = [path for path in (place.folder / "work" / "steps").glob("*/select") if path.is_dir()]
    require(bool(gone), "no output of select was found")
    for path in gone:
        shutil.rmtree(path)
    place.finished.discard("select")
    ended = place.run()
    require(ended.status == 0, f"the run failed: {ended.said[-500:]}")
    require("select" in ended.steps, f"only {', '.join(ended.steps)} ran")
    return f"made anew; steps run: {', '.join(ended.steps)}"


def _two_runs(place: Place) -> str:
    before = place.champion()
    runs = [place.start(), None]
    require(runs[0] is not None and runs[0].wait_for(kind="started", step="plan"), "the first run never planned")
    runs[1] = place.start()
    ended = [run.ended() for run in runs if run is not None]
    for one in ended:
        require(one.status == 0, f"a run failed: {one.said[-500:]}")
    champion = place.registry().champion()
    require(champion is not None and champion.digest == before.digest, "the champion changed")
    return f"both ended, log at {place.registry().head()}, one champion"


KILLS = [
    Fault(f"kill -9 of the run in {name}", "store sound, nothing half-registered, no decision lost", partial(_kill, p))
    for name, p in POINTS
] + [
    Fault(
        "the run repeated after all kills, its use case file overwritten with rubbish meanwhile",
        "finished steps are reused, the settings are those of its start, a champion is live",
        _repeated,
    )
]
FAULTS = [
    Fault("output of a reused step deleted", "the step runs again", _output_deleted),
    Fault("two runs on one store and one work folder at once", "both end, one champion", _two_runs),
    Fault(
        "settings changed between a killed run and its repetition",
        "what depends on them runs anew, no version mixes both",
        _other_settings,
    ),
]
