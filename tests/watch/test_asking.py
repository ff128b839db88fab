"""How an explanation asks its predictor: in calls that fit, within a budget, of one version; and how it is worded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from servers import free_port
from watched import case

from sluice.errors import RequestError, SettingsError
from sluice.features.schema import FeatureColumn
from sluice.watch.alibi.budget import Budget, BudgetSpentError
from sluice.watch.alibi.predictor import Predictor, RefusedError
from sluice.watch.alibi.vectors import Gaps
from sluice.watch.alibi.wording import effect_in_words, shown

LIMITS = {"model": "m", "version": "v1", "names": ("a", "b"), "batch": 4, "max_batch": 3, "max_body": 10_000}
SHOP = FeatureColumn("shop", "category", vocabulary=("x", "y"))
Answer = Callable[[str, Any], tuple[int, Any]]


@contextmanager
def stub(answer: Answer) -> Iterator[str]:
    """A server that gives to each path and body what `answer` says."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, said = answer(self.path, body)
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_vectors_are_asked_in_calls_that_the_server_takes() -> None:
    asked: list[Any] = []

    def answer(path: str, body: Any) -> tuple[int, Any]:
        asked.append((path, body["instances"]))
        return 200, {"predictions": [{"score": row[0]} for row in body["instances"]], "model_version": "v1"}

    budget = Budget(10, 60)
    with stub(answer) as address:
        predictor = Predictor(address, LIMITS, budget)
        scores = predictor.score(np.array([[i, np.nan] for i in range(7)], dtype=np.float64))
        narrow = Predictor(address, {**LIMITS, "max_body": 60}, budget)
        narrow.score(np.zeros((2, 2)))
        predictor.close()
        narrow.close()
    assert scores.tolist() == list(range(7))
    assert [len(rows) for _, rows in asked] == [3, 3, 1, 1, 1]
    assert asked[0] == ("/v1/models/m-features:predict", [[0, None], [1, None], [2, None]])
    assert budget.calls == 5


def test_calls_and_seconds_run_out_with_what_to_set() -> None:
    now = [0.0]
    budget = Budget(2, 5, clock=lambda: now[0])
    assert (budget.spend(), budget.spend()) == (5, 5)
    with pytest.raises(BudgetSpentError, match="2 calls") as spent:
        budget.spend()
    assert (spent.value.budget, "explanations.calls" in spent.value.hint) == ("calls", True)
    now[0] = 5.5
    with pytest.raises(BudgetSpentError, match="5 s is spent") as spent:
        budget.spend()
    assert (spent.value.budget, "explanations.seconds" in spent.value.hint) == ("seconds", True)


def test_a_predictor_that_keeps_one_waiting_is_the_budgets_end() -> None:
    goes_on = threading.Event()

    def answer(_path: str, _body: Any) -> tuple[int, Any]:
        goes_on.wait(60)
        return 200, {}

    with stub(answer) as address:
        predictor = Predictor(address, LIMITS, Budget(10, 0.2))
        with pytest.raises(BudgetSpentError, match=r"0\.2 s is spent after"):
            predictor.score(np.zeros((1, 2)))
        goes_on.set()


@pytest.mark.parametrize(
    ("status", "said", "expected", "words"),
    [
        (
            200,
            {"predictions": [], "model_version": "v2"},
            503,
            "answers version v2, and the background here is version v1",
        ),
        (404, {"error": "Model with name m-features does not exist."}, 502, "answered 404: Model with name"),
        (500, "no object", 502, "answered 500: nothing that can be read"),
    ],
)
def test_an_answer_of_another_kind_or_version_is_told(status: int, said: Any, expected: int, words: str) -> None:
    with stub(lambda *_: (status, said)) as address:
        predictor = Predictor(address, LIMITS, Budget(10, 60))
        with pytest.raises(RequestError, match=words) as refused:
            predictor.score(np.zeros((1, 2)))
        predictor.close()
    assert refused.value.status == expected


def test_refused_rows_are_refused_in_the_predictors_words() -> None:
    problems = [{"row": 0, "field": "amount", "problem": "is missing"}]
    with stub(lambda *_: (422, {"error": "amount: is missing", "hint": "", "problems": problems})) as address:
        predictor = Predictor(address, LIMITS, Budget(10, 60))
        with pytest.raises(RefusedError, match="amount: is missing") as refused:
            predictor.resolve(b'{"instances": [{}]}')
        predictor.close()
    assert (refused.value.status, refused.value.problems) == (422, problems)


def test_nobody_there_is_told_with_the_address() -> None:
    predictor = Predictor(f"http://127.0.0.1:{free_port()}", LIMITS, Budget(10, 60))
    with pytest.raises(RequestError, match="does not answer") as refused:
        predictor.score(np.zeros((1, 2)))
    assert refused.value.status == 502


def test_gaps_are_filled_above_all_and_come_back() -> None:
    rows = np.array([[1.0, -5.0, 7.0], [np.nan, -3.0, 7.0], [4.0, np.nan, 7.0]])
    gaps = Gaps.of(rows)
    filled = gaps.fill(rows)
    assert not np.isnan(filled).any()
    assert filled[1, 0] > 4 and filled[2, 1] > -3
    assert np.array_equal(gaps.restore(filled), rows, equal_nan=True)
    assert gaps.is_gap(0, filled[1, 0]) and not gaps.is_gap(0, 4.0) and not gaps.is_gap(2, 1e9)


def test_reasons_name_value_and_what_is_usual() -> None:
    amount, amounts = FeatureColumn("amount"), np.array([1.0, 2.0, np.nan, 3.0])
    assert effect_in_words(amount, 9, amounts, 0.25) == "amount is 9 (usually 2): raises the score by 0.2500"
    assert effect_in_words(amount, np.nan, amounts, -0.1).startswith("amount is missing (usually 2): lowers")
    assert effect_in_words(SHOP, 3, np.array([2.0, 2.0, 0.0]), 0.5).startswith("shop is y (mostly x): raises")
    assert effect_in_words(amount, 19690.6, amounts, 1).startswith("amount is 19,691 (")
    assert [shown(SHOP, code) for code in (0, 1, 2)] == ["rare", None, "x"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"explanations__calls": 10}, "explanations.calls: one row may take 43 calls, 10 are allowed"),
        ({"explanations__method": "guess"}, "explanations.method"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        case(**settings)
