"""The explainer as a real process, asking a real predictor: reasons that hold, and budgets that end."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import yaml
from explained_world import amount_version, background, decisions, folder_for, servable_of
from servers.process import without
from serving_world import JSON, WITHIN, Deployed, WorldTables, body, instance
from typer.testing import CliRunner

from sluice.errors import WatchError
from sluice.registry.keys import Keys
from sluice.settings.explanations import Explanations, KernelShap
from sluice.watch import door
from sluice.watch.alibi.files import BACKGROUND, DOCUMENT
from sluice.watch.explanations import running_explainer
from sluice_cli.explain import _rows as chosen_rows
from sluice_cli.main import app
from sluice_serving import exits, explained
from sluice_serving.traffic.process import ServerProcess

PRECISION = 0.9
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
    assert reason["text"].startswith("amount is 90,000 (usually ")
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


def test_the_command_takes_the_highest_scores_or_named_events(
    served: Served, world: WorldTables, tmp_path: Path
) -> None:
    source = tmp_path / "day.parquet"
    world.rows.write_parquet(source)
    fetched: Any = SimpleNamespace(servable=lambda: servable_of(served.version))
    highest = np.sort(served.version.graph.score(background(world)))[::-1][:4]
    top = chosen_rows(fetched, str(source), None, 4, None)
    assert top["score"].to_list() == pytest.approx(highest, abs=1e-6)
    ids = top["event_id"].to_list()[1:3]
    assert set(chosen_rows(fetched, str(source), ids, 1, None)["event_id"]) == set(ids)
    with pytest.raises(WatchError, match="has no event none-such"):
        chosen_rows(fetched, str(source), ["none-such"], 1, None)


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
    assert explained.main([*given, str(other)]) == exits.REFUSED
    assert "sign" in capsys.readouterr().err


def test_the_command_tells_anchors_in_words_and_they_hold_on_rows_that_are_drawn(
    served: Served, world: WorldTables, tmp_path: Path
) -> None:
    """Against the registry and a running endpoint: the most and the least alarming transaction of a day."""
    version, rows = served.version, world.rows
    rows.write_parquet(tmp_path / "day.parquet")
    settings = world.use_case.model_dump(mode="json", by_alias=True)
    settings["storage"] = {"url": version.registry.store.url, "keys": str(version.keys)}
    settings["explanations"] = {"method": "anchors", "seconds": "5m", "anchors": {"precision": PRECISION}}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(settings))
    scores = version.graph.score(background(world))
    given = ["explain", tmp_path / "case.yaml", tmp_path / "day.parquet", "--endpoint", served.predictor.address]
    given += ["--work", tmp_path / "work", "--out", tmp_path / "why"]
    for place in (scores.argmax(), scores.argmin()):
        given += ["--event", rows["event_id"][int(place)]]
    done = CliRunner().invoke(app, [str(word) for word in given])
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "why/explanations.json").read_text())["explanations"]
    assert sorted(one["decision"] for one in found) == ["alert", "no alert"]
    page = (tmp_path / "why/explanations.html").read_text()
    for one in found:
        assert f"{one['event_id']}  score {one['score']:.4f}: {one['decision']}, in " in done.output
        assert all(html.escape(reason["text"]) in page for reason in one["reasons"])
        assert "amount" in [condition["feature"] for condition in one["anchor"]], one
        assert one["precision"] >= PRECISION
        assert share_of_same(version, background(world), one) >= PRECISION - 0.02, one


def share_of_same(version: Deployed, rows: np.ndarray, one: dict[str, Any]) -> float:
    """Share of vectors drawn anew within an anchor's conditions that get the decision that it explains."""
    names, within = list(version.schema.names), np.ones(len(rows), dtype=bool)
    columns = [names.index(condition["feature"]) for condition in one["anchor"]]
    for column, condition in zip(columns, one["anchor"], strict=True):
        above, up_to = condition["above"], condition["up_to"]
        within &= rows[:, column] > (-np.inf if above is None else above)
        within &= rows[:, column] <= (np.inf if up_to is None else up_to)
    random = np.random.default_rng(5)
    drawn = rows[random.integers(0, len(rows), 4000)]
    drawn[:, columns] = rows[within][random.integers(0, within.sum(), 4000)][:, columns]
    return float(np.mean(decisions(version, drawn) == (one["decision"] == "alert")))
