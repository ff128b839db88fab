"""A model from a package outside the repository."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sluice.errors import ExportError, TrainingError
from sluice.training import Trained, train_candidate
from training.small import rows, schema_of, use_case_of

PACKAGE = '''
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Nearest:
    """Scores by the squashed distance to the mean of the first column."""

    def __init__(self, params, seed, task):
        self.rate, self.task = params["rate"], task

    def fit(self, x, y, x_validation, y_validation):
        assert x.dtype == np.float32 and len(x) == len(y) and len(x_validation) == len(y_validation)
        self.weight = np.zeros((x.shape[1], 1), dtype=np.float32)
        self.weight[0] = -self.rate / x[:, 0].std()

    def score(self, x):
        logits = (np.nan_to_num(x) @ self.weight)[:, 0].astype(np.float64)
        return 1 / (1 + np.exp(-logits))

    def to_onnx(self):
        nodes = [
            helper.make_node("IsNaN", ["features"], ["gone"]),
            helper.make_node("Where", ["gone", "zero", "features"], ["filled"]),
            helper.make_node("MatMul", ["filled", "weight"], ["logit"]),
            helper.make_node("Squeeze", ["logit", "axis"], ["flat"]),
            helper.make_node("Sigmoid", ["flat"], ["scores"]),
        ]
        fixed = [
            numpy_helper.from_array(np.float32(0), "zero"),
            numpy_helper.from_array(self.weight, "weight"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ]
        graph = helper.make_graph(
            nodes,
            "nearest",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(self.weight)])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None])],
            fixed,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], doc_string="/home/me")
        model.metadata_props.add(key="made_in", value=__file__)
        return model.SerializeToString()


class Wrong(Nearest):
    def score(self, x):
        return 1 - super().score(x)


class Broken(Nearest):
    def fit(self, x, y, x_validation, y_validation):
        raise ZeroDivisionError("nothing there")


class Short:
    def fit(self, x, y, x_validation, y_validation): ...
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site" / "their_models"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "nearest.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(folder.parent))
    for name in [name for name in sys.modules if name.startswith("their_models")]:
        monkeypatch.delitem(sys.modules, name)


def trained(path: str, folder: Path) -> Trained:
    use_case = use_case_of("binary", "import", {"rate": 1.5}, **{"import": path})
    train = rows("binary", 800, 1)
    candidate = use_case.training.candidates[1]
    return train_candidate(candidate, use_case, schema_of(train), train, rows("binary", 300, 2), folder)


@pytest.mark.usefixtures("package")
def test_it_is_trained_checked_and_cleaned_of_where_it_was_made(tmp_path: Path) -> None:
    document = trained("their_models.nearest:Nearest", tmp_path / "out").document
    assert document["params"] == {"rate": 1.5}
    assert document["import"] == "their_models.nearest:Nearest"
    assert document["parity"]["largest_difference"] < 1e-6
    graph = (tmp_path / "out" / "model.onnx").read_bytes()
    assert b"their_models" not in graph
    assert b"/home/me" not in graph


@pytest.mark.usefixtures("package")
def test_a_graph_that_scores_otherwise_fails(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="differ by"):
        trained("their_models.nearest:Wrong", tmp_path)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("their_models.nearest:Broken", "Broken.fit: ZeroDivisionError: nothing there"),
        ("their_models.nearest:Short", "lacks score, to_onnx"),
        ("their_models.nearest:Nobody", "the module has no Nobody"),
        ("their_models.elsewhere:Nearest", "no module their_models.elsewhere"),
    ],
)
def test_what_is_wrong_with_a_class_is_told(path: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=message):
        trained(path, tmp_path)
