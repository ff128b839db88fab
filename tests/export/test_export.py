"""Graphs: their bytes, their scores, their refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from training.small import NETWORK, small_problem, use_case_of

from sluice.errors import ExportError
from sluice.export import Graph
from sluice.export.int8 import products, quantised
from sluice.export.parity import check_parity
from sluice.export.writer import GraphWriter, canonical
from sluice.features.schema import FeatureColumn, FeatureSchema
from sluice.training.forest import ForestModel, fit_forest
from sluice.training.network_fit import fit_network
from sluice.training.parameters import ForestParams, NetworkParams
from sluice.training.preprocessing import Categories, fit_numbers
from sluice.training.problem import Fit


def doubled() -> bytes:
    graph = GraphWriter(2, 17)
    product = graph.affine(graph.input, np.array([[2.0], [0.0]]), np.array([0.5]))
    return graph.finish(graph.link(product, "regression"))


def network() -> Fit:
    use_case = use_case_of("binary", "network")
    params = NetworkParams.model_validate(use_case.training.candidates[1].params)
    return fit_network(small_problem("binary", use_case), params)


def test_a_graph_scores_any_number_of_rows() -> None:
    graph = Graph(doubled())
    assert graph.features == 2
    for count in (0, 1, 7, 70_000):
        matrix = np.ones((count, 2), dtype=np.float32)
        scores = graph.score(matrix)
        assert scores.dtype == np.float32
        assert scores.shape == (count,)
        assert (scores == 2.5).all()


@pytest.mark.parametrize("matrix", [np.ones((2, 3), dtype=np.float32), np.ones((2, 2)), np.ones(2, dtype=np.float32)])
def test_another_matrix_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ExportError, match=r"the graph takes float32 \[n, 2\]"):
        Graph(doubled()).score(matrix)


def test_bytes_that_are_no_graph_of_ours_are_refused() -> None:
    with pytest.raises(ExportError, match="does not load"):
        Graph(b"not a graph")
    model = onnx.load_from_string(doubled())
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    with pytest.raises(ExportError, match="takes one input"):
        Graph(model.SerializeToString())
    with pytest.raises(ExportError, match="not a valid ONNX model"):
        canonical(b"not a graph")


def test_nothing_tells_where_a_graph_was_made() -> None:
    model = onnx.load_from_string(doubled())
    model.doc_string, model.producer_version = "a", "9"
    model.metadata_props.add(key="path", value="/somewhere")
    model.graph.node[0].doc_string = "line 3 of /somewhere"
    helper.set_model_props(model, {"path": "/somewhere"})
    assert canonical(model) == doubled()
    stored = onnx.load_from_string(doubled())
    assert stored.opset_import[0].version == 17
    assert stored.ir_version == 8


def test_parity_is_relative_for_large_values_only() -> None:
    model = np.array([1e6, 2.0])
    assert check_parity(np.array([1e6 + 1, 2.0], dtype=np.float32), model, 1e-5, "it") == pytest.approx(1e-6)
    with pytest.raises(ExportError, match="differ by"):
        check_parity(np.array([0.5], dtype=np.float32), np.array([0.6]), 1e-5, "it")
    with pytest.raises(ExportError, match="no finite numbers"):
        check_parity(np.array([np.nan], dtype=np.float32), np.array([0.6]), 1e-5, "it")
    with pytest.raises(ExportError, match="gives scores"):
        check_parity(np.zeros(2, dtype=np.float32), np.zeros(3), 1e-5, "it")


numbers = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(numbers, numbers, st.sampled_from([0.0, 1.0, 2.0])), min_size=1, max_size=30), st.booleans())
def test_preprocessing_is_the_same_in_numpy_and_in_the_graph(rows: list[tuple[float, ...]], clipped: bool) -> None:
    schema = FeatureSchema((FeatureColumn("a"), FeatureColumn("b"), FeatureColumn("c", "category", vocabulary=("x",))))
    x = np.array(rows, dtype=np.float32)
    prepared = fit_numbers(schema, x, log=["b"], indicators=True, clip=3.0 if clipped else None)
    categories = Categories.of(schema)
    graph = GraphWriter(3, 17)
    joined = graph.node("Concat", prepared.write(graph), *categories.write_one_hot(graph), axis=1)
    written = Graph(graph.finish(joined, prepared.width + 3)).score(x)
    expected = np.concatenate([prepared.apply(x), categories.one_hot(x)], axis=1)
    assert np.isfinite(written).all()
    assert np.allclose(written, expected, rtol=1e-4, atol=1e-4)


def test_a_forest_s_thresholds_hold_at_the_edge() -> None:
    """Float32 values on both sides of each float64 threshold take scikit-learn's way."""
    problem = small_problem("binary", use_case_of("binary", "forest"))
    fit = fit_forest(problem, ForestParams(trees=5, max_depth=8))
    model = fit.model
    assert isinstance(model, ForestModel)
    tree = model.forest.estimators_[0].tree_
    inner = (tree.children_left >= 0) & np.isfinite(tree.threshold)
    near = tree.threshold[inner].astype(np.float32)
    x = np.repeat(problem.x[:1], 3 * len(near), axis=0)
    edges = np.concatenate([near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))])
    x[np.arange(len(x)), np.tile(tree.feature[inner], 3)] = edges
    assert np.abs(Graph(model.to_onnx()).score(x) - model.score(x)).max() < 1e-6


@pytest.mark.parametrize("opset", [17, 18, 21])
def test_newer_operator_sets_score_the_same(opset: int) -> None:
    problem = replace(small_problem("binary", use_case_of("binary", "network"), 300), opset=opset)
    params = NetworkParams.model_validate({**NETWORK, "max_epochs": 1})
    fit = fit_network(problem, params)
    graph = canonical(fit.model.to_onnx())
    assert onnx.load_from_string(graph).opset_import[0].version == opset
    assert np.allclose(Graph(graph).score(problem.x), fit.model.score(problem.x), atol=1e-5)


def test_int8_does_not_depend_on_the_batch() -> None:
    fit = network()
    x = small_problem("binary", use_case_of("binary", "network")).x
    graph = canonical(fit.model.to_onnx())
    small = quantised(graph, x[:500])
    assert products(graph)
    assert small == quantised(graph, x[:500])
    scorer = Graph(small)
    batch = scorer.score(x[:300])
    single = np.concatenate([scorer.score(x[i : i + 1]) for i in range(300)])
    assert np.abs(batch - single).max() < 1e-6
    assert np.abs(batch - Graph(graph).score(x[:300])).mean() < 0.05


def test_codes_that_no_schema_gives_do_not_break_a_graph() -> None:
    fit = network()
    x = small_problem("binary", use_case_of("binary", "network")).x[:2].copy()
    x[0, 3], x[1, 3] = 99, -5
    assert np.allclose(Graph(fit.model.to_onnx()).score(x), fit.model.score(x), atol=1e-5)
