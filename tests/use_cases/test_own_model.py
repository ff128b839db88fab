"""A candidate from a package outside the repository, through the whole loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from whole_loop import CONSTANT, check_papers, check_scores, go_round, use_case_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PACKAGE = '''
"""Somebody's model: how far a row lies from the middle, which no logistic regression sees."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Ring:
    def __init__(self, params, seed, task):
        self.sharpness = params["sharpness"]

    def fit(self, x, y, x_validation, y_validation):
        away = (x**2).sum(axis=1)
        self.middle = float(np.median(away[y == 1]) + np.median(away[y == 0])) / 2

    def score(self, x):
        return 1 / (1 + np.exp(-self.sharpness * ((x.astype(np.float64) ** 2).sum(axis=1) - self.middle)))

    def to_onnx(self):
        fixed = [
            numpy_helper.from_array(np.float32(self.middle), "middle"),
            numpy_helper.from_array(np.float32(self.sharpness), "sharpness"),
        ]
        nodes = [
            helper.make_node("ReduceSumSquare", ["features"], ["away"], axes=[1], keepdims=0),
            helper.make_node("Sub", ["away", "middle"], ["beyond"]),
            helper.make_node("Mul", ["beyond", "sharpness"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["scores"]),
        ]
        ends = [("features", [None, 2]), ("scores", [None])]
        ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in ends]
        graph = helper.make_graph(nodes, "ring", *ends, fixed)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
'''


def test_a_model_of_ones_own_goes_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site" / "their_models").mkdir(parents=True)
    (tmp_path / "site" / "their_models" / "__init__.py").write_text("")
    (tmp_path / "site" / "their_models" / "ring.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    random = np.random.default_rng(4)
    at = random.normal(size=(3000, 2))
    outside = (at**2).sum(axis=1) + random.normal(0, 0.5, 3000) > 2
    table = pl.DataFrame({"id": range(3000), "east": at[:, 0], "north": at[:, 1], "outside": outside})
    sections: dict[str, Any] = {
        "name": "ring",
        "task": "binary",
        "data": {"columns": {"event_id": "id", "values": {"east": {}, "north": {}}, "label": "outside"}},
        "features": {"request": [{"kind": "value", "name": n, "column": n} for n in ("east", "north")]},
        "split": {"by": "random"},
    }
    own = {"id": "ring", "kind": "import", "import": "their_models.ring:Ring", "params": {"sharpness": 2.0}}
    loop = go_round(use_case_of(table, tmp_path, sections, [CONSTANT, own], "roc_auc"), tmp_path / "work")
    check_papers(loop)
    assert loop.figures["challenger"] > 0.9
    check_scores(loop, tmp_path / "scores.parquet")
    far, near = loop.ask(*({"event_id": "q", "east": east, "north": 0.1} for east in (2.5, 0.0)))
    assert far["score"] > 0.9 and near["score"] < 0.1
    assert "their_models.ring:Ring" in (loop.run.folder / "card.md").read_text() + loop.run.report.read_text()
