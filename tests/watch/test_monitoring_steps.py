"""The steps of the monitoring pipeline one after the other, with files between them as on a cluster."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from kfp import dsl
from planted import DAY, NOW, START, Planted, planted

from sluice.evaluation.bootstrap import Interval
from sluice.ledger.layout import partitions
from sluice.settings import UseCase, settings_json
from sluice.watch import door
from sluice.watch.estimate import Calibrator
from sluice.watch.handing import read_gathered, write_gathered
from sluice.watch.monitor import Gathered, gather, lay_out, watch
from sluice.watch.performance import Known
from sluice_components import compact, decide, detect, judge
from sluice_components import gather as gathering

FIRST = 56
AT = START + (FIRST + 21) * DAY + DAY / 12
pytestmark = pytest.mark.slow


@dataclass
class Steps:
    """What a run of the steps up to the decision left."""

    folder: Path
    at: str
    verdict: str
    metrics: dict[str, Any]
    retrain: str
    run: str
    settings: str


@pytest.fixture(scope="module")
def fallen(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A world whose champion's scores are turned round: one such window is enough for a training run."""
    world = planted(tmp_path_factory.mktemp("fallen"), watch__rules__violated=1, watch__rules__of=1)
    world.answer(FIRST, FIRST + 21, flip=True)
    return world


def steps(use_case: UseCase, folder: Path, python: Path, at: datetime = AT) -> Steps:
    """Run gather, detect, judge and decide as the package has them; `detect` is its container's command."""
    settings = settings_json(use_case)
    known, window, finding = (dsl.Dataset(uri=str(folder / name)) for name in ("gathered", "window", "finding"))
    report, found, told, metrics = (
        kind(uri=str(folder / name))
        for kind, name in ((dsl.HTML, "report"), (dsl.Artifact, "found"), (dsl.Markdown, "told"), (dsl.Metrics, "m"))
    )
    folder.mkdir()
    (instant,) = gathering.gather.python_func(settings=settings, at=at.isoformat(), gathered=known, window=window)
    _contained({"inputs": {"window": window.path}, "outputs": {"finding": finding.path}}, python)
    judged = judge.judge.python_func(
        settings=settings,
        **{"gathered": known, "window": window, "finding": finding},
        **{"report": report, "metrics": metrics, "found": found},
    )
    decided = decide.decide.python_func(settings=settings, at=judged[0], asked=at.isoformat(), told=told)
    assert judged[0] == instant
    return Steps(folder, instant, judged[1], metrics.metadata, *decided)


def _contained(places: dict[str, dict[str, str]], python: Path) -> None:
    """The command that the container of `detect` has, in the other environment."""
    container = detect.detect.component_spec.implementation.container
    words = [str(word) for word in (*container.command, *container.args)]
    for side, paths in places.items():
        for name, path in paths.items():
            words = [word.replace(f"{{{{$.{side}.artifacts['{name}'].path}}}}", path) for word in words]
    assert words[0] == "python" and "{" not in "".join(words)
    done = subprocess.run(
        [str(python), *words[1:]], env=door.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_steps_with_files_between_them_find_what_the_command_finds(
    fallen: Planted, python: Path, tmp_path: Path
) -> None:
    done = steps(fallen.use_case, tmp_path / "steps", python)
    assert (done.verdict, done.retrain) == ("violated", "yes")
    assert json.loads(done.settings)["data"]["end"] == AT.isoformat().replace("+00:00", "Z")
    window = json.loads((tmp_path / "steps" / "found" / "monitor.json").read_text())["window"]
    assert window["violated"] == ["drift", "performance"] and window["drift"]["score"]["moved"]
    assert done.metrics["average_precision_drop"] > 0.05
    report = (tmp_path / "steps" / "report").read_text()
    assert "Violated" in report and report == (tmp_path / "steps" / "found" / "monitor.html").read_text()
    assert "decided now" in (tmp_path / "steps" / "told").read_text()
    (decision,) = [one for one in fallen.registry.log() if one.kind == "retraining"]
    assert decision.figures["run"] == done.run and decision.actor == "monitor"

    seen = watch(fallen.registry, fallen.use_case, at=AT, now=NOW)
    assert seen.repeated and seen.window == window
    written = json.loads((tmp_path / "steps" / "found" / "monitor.json").read_text())
    assert [day.document() for day in seen.days] == written["days"] and seen.pooled == written["performance"]

    again = steps(fallen.use_case, tmp_path / "again", python, AT + DAY)
    assert (again.retrain, again.run) == ("yes", done.run), "its run was never begun"
    assert json.loads((tmp_path / "again" / "finding" / "drift.json").read_text()) is None, "recorded: not tested anew"
    assert len([one for one in fallen.registry.log() if one.kind == "retraining"]) == 1


def test_what_was_gathered_comes_back_from_its_files(fallen: Planted, tmp_path: Path) -> None:
    found = gather(fallen.registry, fallen.use_case, at=AT - 7 * DAY, now=NOW)
    assert found.wants_detectors
    lay_out(fallen.registry, found, tmp_path / "window")
    back = handed(found, tmp_path)
    for name in ("version", "schema", "at", "span", "answers", "promise", "recorded", "wants_detectors"):
        assert getattr(back, name) == getattr(found, name), name
    assert list(back.promise.metrics) == list(found.promise.metrics)
    assert back.known.rows.equals(found.known.rows) and np.array_equal(back.known.score, found.known.score)
    assert back.known.threshold == found.known.threshold and back.window.equals(found.window)


def test_scores_of_classes_and_no_answers_at_all_come_back_too(fallen: Planted, tmp_path: Path) -> None:
    found = gather(fallen.registry, fallen.use_case, at=START + FIRST * DAY, now=NOW)
    assert not found.wants_detectors and not found.known.rows.height
    lay_out(fallen.registry, found, tmp_path / "window")
    assert handed(found, tmp_path).known.score.shape == (0,)

    gate = fallen.use_case.gate.model_copy(update={"metric": "accuracy"})
    classes = fallen.use_case.model_copy(update={"task": "multiclass", "gate": gate})
    rows = pl.DataFrame({"event_id": ["a", "b"], "label": [0.0, None]})
    known = Known(rows, np.array([[0.1, 0.2, 0.7], [1.0, 0.0, 0.0]]), 0.5)
    undefined = Interval(0.7, 0.6, 0.8, float("nan"))
    promise = replace(found.promise, metrics={"accuracy": undefined, "log_loss": undefined}, calibrator=None)
    back = handed(replace(found, use_case=classes, known=known, promise=promise), tmp_path)
    assert np.array_equal(back.known.score, known.score) and back.known.rows.equals(rows)
    assert back.promise.metrics["accuracy"].high == 0.8 and np.isnan(back.promise.metrics["accuracy"].error)
    assert back.promise.calibrator is None


def handed(found: Gathered, folder: Path) -> Gathered:
    """Through files and back."""
    write_gathered(found, folder / "gathered")
    return read_gathered(found.use_case, folder / "gathered", folder / "window")


def test_the_ledgers_small_files_become_one_and_old_days_go(fallen: Planted) -> None:
    settings = settings_json(fallen.use_case)
    metrics = dsl.Metrics()
    before = len(partitions(fallen.registry.store, "fraud"))
    compact.compact.python_func(settings=settings, metrics=metrics)
    gone = metrics.metadata["removed partitions"]
    assert metrics.metadata["files"] <= metrics.metadata["files before"]
    assert len(partitions(fallen.registry.store, "fraud")) == before - gone


def test_a_calibrator_is_its_points() -> None:
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(3)
    score = np.round(random.random(400), 2)
    label = (random.random(400) < score).astype(float)
    learned = Calibrator.learned(label, score)
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, label)
    asked = np.linspace(-0.5, 1.5, 999)
    assert np.allclose(learned(asked), model.predict(asked), atol=1e-12)
    assert Calibrator(*map(tuple, json.loads(json.dumps([learned.scores, learned.probabilities])))) == learned
