"""Operations on a finished graph, from bytes to bytes: what a broken export would have written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sluice.export.graph import INPUT, OUTPUT

_BEFORE, _AFTER = "selftest_scores_before", "selftest_features_after"
_COLUMN = helper.make_node("Gather", [INPUT, "sl_index"], ["sl_column"], axis=1)
"""One column of the features, [n]."""
Values = np.ndarray | float | int | Sequence[int]


def after(model: bytes, nodes: Sequence[onnx.NodeProto], constants: dict[str, Values]) -> bytes:
    """The graph with nodes behind its end: they take `BEFORE` (the scores so far) and give `scores`."""
    graph = onnx.load_from_string(model)
    for node in graph.graph.node:
        node.output[:] = [_BEFORE if name == OUTPUT else name for name in node.output]
        node.input[:] = [_BEFORE if name == OUTPUT else name for name in node.input]
    graph.graph.node.extend(nodes)
    return _with(graph, constants)


def before(model: bytes, nodes: Sequence[onnx.NodeProto], constants: dict[str, Values]) -> bytes:
    """The graph with nodes in front of its door: they take `features` and give `AFTER`."""
    graph = onnx.load_from_string(model)
    for node in graph.graph.node:
        node.input[:] = [_AFTER if name == INPUT else name for name in node.input]
    for i, node in enumerate(nodes):
        graph.graph.node.insert(i, node)
    return _with(graph, constants)


def _with(graph: onnx.ModelProto, constants: dict[str, Values]) -> bytes:
    for name, value in constants.items():
        array = np.asarray(value, dtype=np.float32 if not _whole(value) else np.int64)
        graph.graph.initializer.append(numpy_helper.from_array(array, name))
    return bytes(graph.SerializeToString(deterministic=True))


def _whole(value: Values) -> bool:
    return bool(np.issubdtype(np.asarray(value).dtype, np.integer))


def inverted(model: bytes) -> bytes:
    """One minus the score."""
    return after(model, [helper.make_node("Sub", ["sl_one", _BEFORE], [OUTPUT])], {"sl_one": 1.0})


def constant(model: bytes, value: float) -> bytes:
    """The same score for every row."""
    nodes = [
        helper.make_node("Mul", [_BEFORE, "sl_zero"], ["sl_nothing"]),
        helper.make_node("Add", ["sl_nothing", "sl_value"], [OUTPUT]),
    ]
    return after(model, nodes, {"sl_zero": 0.0, "sl_value": value})


def shuffled(model: bytes) -> bytes:
    """The rows' scores in the opposite order."""
    node = helper.make_node("Slice", [_BEFORE, "sl_start", "sl_end", "sl_axis", "sl_step"], [OUTPUT])
    far = np.iinfo(np.int64).min + 1
    return after(model, [node], {"sl_start": [-1], "sl_end": [far], "sl_axis": [0], "sl_step": [-1]})


def overconfident(model: bytes, factor: float) -> bytes:
    """Log odds times `factor`: the same order, far too sure."""
    make = helper.make_node
    nodes = [
        make("Clip", [_BEFORE, "sl_low", "sl_high"], ["sl_p"]),
        make("Sub", ["sl_one", "sl_p"], ["sl_q"]),
        make("Div", ["sl_p", "sl_q"], ["sl_odds"]),
        make("Log", ["sl_odds"], ["sl_logit"]),
        make("Mul", ["sl_logit", "sl_factor"], ["sl_sure"]),
        make("Sigmoid", ["sl_sure"], [OUTPUT]),
    ]
    return after(model, nodes, {"sl_low": 1e-6, "sl_high": 1 - 1e-6, "sl_one": 1.0, "sl_factor": factor})


def inverted_between(model: bytes, column: int, low: float, high: float, scale: float) -> bytes:
    """`scale * (1 - score)` where a feature lies in [low, high]."""
    make = helper.make_node
    nodes = [
        _COLUMN,
        make("GreaterOrEqual", ["sl_column", "sl_low"], ["sl_above"]),
        make("LessOrEqual", ["sl_column", "sl_high"], ["sl_below"]),
        make("And", ["sl_above", "sl_below"], ["sl_inside"]),
        make("Sub", ["sl_one", _BEFORE], ["sl_rest"]),
        make("Mul", ["sl_rest", "sl_scale"], ["sl_wrong"]),
        make("Where", ["sl_inside", "sl_wrong", _BEFORE], [OUTPUT]),
    ]
    return after(model, nodes, {"sl_index": column, "sl_low": low, "sl_high": high, "sl_one": 1.0, "sl_scale": scale})


def undefined_above(model: bytes, column: int, low: float) -> bytes:
    """No number where a feature is above `low`."""
    make = helper.make_node
    nodes = [
        _COLUMN,
        make("Greater", ["sl_column", "sl_low"], ["sl_inside"]),
        make("Where", ["sl_inside", "sl_nan", _BEFORE], [OUTPUT]),
    ]
    return after(model, nodes, {"sl_index": column, "sl_low": low, "sl_nan": float("nan")})


def trusting(model: bytes, column: int) -> bytes:
    """Half the score is a feature taken as a probability: what training makes of a feature that holds the label."""
    make = helper.make_node
    nodes = [
        _COLUMN,
        make("Clip", ["sl_column", "sl_zero", "sl_one"], ["sl_label"]),
        make("Add", ["sl_label", _BEFORE], ["sl_both"]),
        make("Mul", ["sl_both", "sl_half"], [OUTPUT]),
    ]
    return after(model, nodes, {"sl_index": column, "sl_zero": 0.0, "sl_one": 1.0, "sl_half": 0.5})


def forgetful(model: bytes, share: float, value: float) -> bytes:
    """A worse model: `value` for a share of the rows, picked by a hash of their features."""
    make = helper.make_node
    nodes = [
        make("IsNaN", [INPUT], ["sl_missing"]),
        make("Where", ["sl_missing", "sl_zero", INPUT], ["sl_known"]),
        make("Sin", ["sl_known"], ["sl_waves"]),
        make("ReduceSum", ["sl_waves", "sl_axis"], ["sl_wave"], keepdims=0),
        make("Mul", ["sl_wave", "sl_large"], ["sl_wide"]),
        make("Floor", ["sl_wide"], ["sl_floor"]),
        make("Sub", ["sl_wide", "sl_floor"], ["sl_hash"]),
        make("Less", ["sl_hash", "sl_share"], ["sl_forgotten"]),
        make("Where", ["sl_forgotten", "sl_value", _BEFORE], [OUTPUT]),
    ]
    constants: dict[str, Values] = {"sl_zero": 0.0, "sl_axis": [1], "sl_large": 4096.0}
    return after(model, nodes, {**constants, "sl_share": share, "sl_value": value})


def unscaled(model: bytes, mean: np.ndarray, deviation: np.ndarray) -> bytes:
    """Features times their deviation plus their mean: a graph that scales then sees what was not scaled."""
    nodes = [
        helper.make_node("Mul", [INPUT, "sl_deviation"], ["sl_spread"]),
        helper.make_node("Add", ["sl_spread", "sl_mean"], [_AFTER]),
    ]
    return before(model, nodes, {"sl_mean": mean, "sl_deviation": deviation})


def reordered(model: bytes, order: Sequence[int]) -> bytes:
    """The columns in another order than the graph was trained on."""
    node = helper.make_node("Gather", [INPUT, "sl_order"], [_AFTER], axis=1)
    return before(model, [node], {"sl_order": list(order)})


def bloated(model: bytes, size: int) -> bytes:
    """The graph with a weight of `size` bytes that nothing uses."""
    graph = onnx.load_from_string(model)
    weight = helper.make_tensor("sl_weight", TensorProto.UINT8, [size], bytes(size), raw=True)
    graph.graph.initializer.append(weight)
    return bytes(graph.SerializeToString(deterministic=True))
