"""The explainer as a real process, asking a real predictor: reasons that hold, and budgets that end."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import yaml
from explained_world import amount_version, background, decisions, folder_for, reference, servable_of
from servers.process import without
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, instance
from typer.testing import CliRunner

from sluice.errors import WatchError
from sluice.registry.keys import Keys
from sluice.settings.explanations import Anchors, Explanations, KernelShap
from sluice.watch import door
from sluice.watch.alibi.files import BACKGROUND, DOCUMENT
from sluice.watch.explanations import explain_rows, running_explainer
from sluice_cli.main import app
from sluice_serving import explained
from sluice_serving.traffic.process import ServerProcess

CALLS = 130
"""Enough for two rows (about 54 calls each, of the 50 vectors that the server takes) and not for four."""
SETTINGS = Explanations(
    calls=CALLS, max_rows=4, max_body=8192, kernel_shap=KernelShap(samples=256, background=10), batch=120
)


@dataclass
class Served:
    """A version behind its server and its explainer."""

    version: Deployed
    predictor: ServerProcess
    arguments: list[str]
    explainer: str
    log: Path

    def explain(self, content: bytes) -> httpx.Response:
        """What the explainer says."""
        return httpx.post(f"{self.explainer}/v1/models/fraud:explain", content=content, headers=JSON, timeout=WITHIN)

    def ready(self) -> int:
        """The status of its readiness."""
        return httpx.get(f"{self.explainer}/v1/models/fraud", timeout=WITHIN).status_code


@pytest.fixture(scope="module")
def served(world: WorldTables, history_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    try:
        door.interpreter()
    except WatchError:
        without("alibi", "`make setup-alibi` sets its environment up")
    folder = tmp_path_factory.mktemp("explained")
    version = amount_version(world, folder / "deployed")
    arguments = version.arguments(history_state)
    predictor = ServerProcess(arguments, folder / "server.log")
    predictor.wait_ready(WITHIN)
    with running_explainer(folder_for(world, version, SETTINGS, folder / "explainer"), predictor.address) as address:
        found = Served(version, predictor, arguments, address, folder / "server.log")
        yield found
    found.predictor.stop()


@pytest.fixture
def first(world: WorldTables) -> dict[str, Any]:
    return instance(world.day.row(0, named=True))


def test_base_and_effects_make_the_score(served: Served, world: WorldTables) -> None:
    rows = [instance(row) for row in world.day.head(2).iter_rows(named=True)]
    answer = served.explain(body(*rows)).json()
    scored = httpx.post(f"{served.predictor.address}/v1/models/fraud:predict", content=body(*rows), headers=JSON)
    assert (answer["model_version"], answer["method"]) == (served.version.digest, "kernel_shap")
    for one, prediction in zip(answer["explanations"], scored.json()["predictions"], strict=True):
        assert one["event_id"] == prediction["event_id"]
        assert one["score"] == pytest.approx(prediction["score"], abs=1e-7)
        assert one["base"] + sum(one["shap_values"]) == pytest.approx(prediction["score"], abs=1e-6)
        largest = [abs(reason["effect"]) for reason in one["reasons"]]
        assert largest == sorted(map(abs, one["shap_values"]), reverse=True)[:3]


def test_a_planted_reason_comes_first_and_in_words(served: Served, first: dict[str, Any]) -> None:
    """The same transaction with a large amount: that, and nothing else, makes its score."""
    found = served.explain(body({**first, "amount": 900.0})).json()["explanations"][0]
    reason = found["reasons"][0]
    assert reason["feature"] == "amount"
    assert reason["effect"] == max(found["shap_values"]) > 0
    assert reason["text"].startswith(f"amount is {reason['value']:.4g} (usually ")
    assert "raises the score by 0." in reason["text"]
    again = served.explain(body({**first, "amount": 900.0})).json()["explanations"][0]
    assert again == found, "the same row has the same explanation"


def test_a_spent_budget_says_which_and_what_to_set(served: Served, world: WorldTables) -> None:
    rows = [instance(row) for row in world.day.head(4).iter_rows(named=True)]
    refused = served.explain(body(*rows))
    assert refused.status_code == 503
    said = refused.json()
    assert (said["budget"], said["error"]) == ("calls", f"the budget of {CALLS} calls of the predictor is spent")
    assert "explanations.calls" in said["hint"]
    metrics = httpx.get(f"{served.explainer}/metrics", timeout=WITHIN).text
    assert 'sluice_explainer_refused_total{reason="calls"}' in metrics


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "the body is no JSON"),
        (b"[" * 5000, 400, "the body is no JSON"),
        (b'{"instances": {}}', 400, "instances: expected a list"),
        (b'{"instances": []}', 400, "instances: expected a list"),
        (b'{"instances": [1, 2, 3, 4, 5]}', 413, "at most 4 rows, got 5"),
        (b" " * 9000, 413, "larger than 8192 bytes"),
        (b'{"instances": [{"event_id": "e"}]}', 422, "amount: is missing"),
    ],
)
def test_what_is_no_question_is_refused_in_words(served: Served, content: bytes, status: int, words: str) -> None:
    answer = served.explain(content)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text


def test_another_model_and_another_path_are_not_there(served: Served, first: dict[str, Any]) -> None:
    wrong = httpx.post(f"{served.explainer}/v1/models/other:explain", content=body(first), timeout=WITHIN)
    assert (wrong.status_code, "'other'" in wrong.json()["error"]) == (404, True)
    put = httpx.put(f"{served.explainer}/v1/models/fraud:explain", content=body(first), timeout=WITHIN)
    assert (put.status_code, put.json()["error"]) == (405, "Method Not Allowed")


def test_a_predictor_that_is_gone_is_told_until_it_is_back(served: Served, first: dict[str, Any]) -> None:
    port = int(served.predictor.address.rsplit(":", 1)[1])
    served.predictor.stop()
    refused = served.explain(body(first))
    assert (refused.status_code, "does not answer" in refused.json()["error"]) == (502, True)
    served.predictor = ServerProcess(served.arguments, served.log, port=port)
    served.predictor.wait_ready(WITHIN)
    assert served.explain(body(first)).status_code == 200
    assert served.ready() == 200


def test_the_command_tells_the_top_alerts_of_a_table_in_words(
    served: Served, world: WorldTables, tmp_path: Path
) -> None:
    """Against the registry and a running endpoint; the whole explanations go into a file."""
    version, rows = served.version, tmp_path / "day.parquet"
    world.rows.with_columns(world.day["event_id"]).write_parquet(rows)
    storage = {"url": version.registry.store.url, "keys": str(version.keys)}
    settings = {**world.use_case.model_dump(mode="json", by_alias=True), "storage": storage}
    settings["explanations"]["kernel_shap"] = {"samples": 64, "background": 5}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(settings))
    words = ["explain", tmp_path / "case.yaml", rows, "--top", "2", "--endpoint", served.predictor.address]
    given = [*words, "--work", tmp_path / "work", "--out", tmp_path / "why"]
    done = CliRunner().invoke(app, [str(word) for word in given])
    assert done.exit_code == 0, done.output
    highest = np.sort(version.graph.score(background(world)))[::-1][:2]
    found = json.loads((tmp_path / "why/explanations.json").read_text())["explanations"]
    assert [one["score"] for one in found] == pytest.approx(highest, abs=1e-6)
    assert f"{found[0]['event_id']}  score {found[0]['score']:.4f}" in done.output
    assert all(reason["text"].split(" (")[0] in done.output for one in found for reason in one["reasons"])
    page = (tmp_path / "why/explanations.html").read_text()
    assert all(html.escape(reason["text"]) in page for one in found for reason in one["reasons"])


def test_what_an_explainer_needs_is_fetched_and_checked(
    served: Served, world: WorldTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """The program that runs before an explainer on a cluster."""
    version, folder = served.version, tmp_path / "explainer"
    monkeypatch.setenv("SLUICE_STORE_URL", version.registry.store.url)
    given = [str(folder), "--model", "fraud", "--keys"]
    assert explained.main([*given, str(version.keys)]) == 0
    assert pl.read_parquet(folder / BACKGROUND).height == world.rows.height
    document = json.loads((folder / DOCUMENT).read_text())
    assert (document["version"], document["settings"]["seconds"]) == (version.digest, 30.0)
    other = Keys.ensure(tmp_path / "other").folder
    shutil.rmtree(tmp_path / "versions")
    assert explained.main([*given, str(other)]) == explained.REFUSED
    assert "sign" in capsys.readouterr().err


def test_anchors_hold_on_rows_that_are_drawn(served: Served, world: WorldTables, tmp_path: Path) -> None:
    """Where the conditions hold, the decision is the same in the promised share of vectors drawn anew."""
    settings = Explanations(method="anchors", seconds=timedelta(minutes=5), anchors=Anchors(precision=0.9))
    scores = served.version.graph.score(background(world))
    asked = world.rows[[int(scores.argmax()), int(scores.argmin())]]
    found = explain_rows(servable_of(served.version), reference(world), settings, asked, served.predictor.address)
    assert [one.document["decision"] for one in found] == ["alert", "no alert"]
    names = list(served.version.schema.names)
    for one in found:
        document, rows = one.document, background(world)
        columns = [names.index(condition["feature"]) for condition in document["anchor"]]
        assert "amount" in [condition["feature"] for condition in document["anchor"]], document
        within = np.ones(len(rows), dtype=bool)
        for column, condition in zip(columns, document["anchor"], strict=True):
            above, up_to = condition["above"], condition["up_to"]
            within &= rows[:, column] > (-np.inf if above is None else above)
            within &= rows[:, column] <= (np.inf if up_to is None else up_to)
        random = np.random.default_rng(5)
        drawn = rows[random.integers(0, len(rows), 4000)]
        drawn[:, columns] = rows[within][random.integers(0, within.sum(), 4000)][:, columns]
        share = np.mean(decisions(served.version, drawn) == (document["decision"] == "alert"))
        assert share >= 0.9 - 0.02, document
        assert document["precision"] >= 0.9
        assert one.reasons[0].startswith(document["anchor"][0]["text"])
