"""The persistence forecast: what it says, and that its graph says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sluice.export.graph import Graph
from sluice.training.persistence import Persistence


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_graph_scores_like_the_model(task: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x = rng.random((500, 4)).astype(np.float32)
    x[:, 2] = np.where(rng.random(500) < 0.1, np.nan, np.round(x[:, 2]) if task == "binary" else x[:, 2])
    y = np.nan_to_num(x[:, 2]).astype(np.float64)
    model = Persistence({"column": 2}, seed=1, task=task)
    model.fit(x, y, x, y)
    (tmp_path / "model.onnx").write_bytes(model.to_onnx())
    assert np.array_equal(Graph(tmp_path / "model.onnx").score(x), model.score(x))
    known = ~np.isnan(x[:, 2])
    assert np.allclose(model.score(x)[known], x[known, 2])


def test_a_binary_score_is_the_share_of_positives_after_the_same_label() -> None:
    x = np.array([[1], [1], [1], [0], [0], [np.nan]], dtype=np.float32)
    model = Persistence({"column": 0}, seed=1, task="binary")
    model.fit(x, np.array([1.0, 1, 0, 0, 0, 1]), x, x)
    assert model.score(x).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0, 0, 1])


def test_it_knows_no_classes() -> None:
    with pytest.raises(ValueError, match="binary tasks and regressions"):
        Persistence({"column": 0}, seed=1, task="multiclass")
