"""Writes ONNX graphs node by node: the same model is the same bytes, in any folder, by any run."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sluice.errors import ExportError, first_line
from sluice.export.graph import INPUT, OUTPUT

TREES_DOMAIN, TREES_VERSION = "ai.onnx.ml", 3


class GraphWriter:
    """Collects nodes in the order of computing; names are counted, never invented."""

    def __init__(self, features: int, opset: int) -> None:
        self._features, self._opset = features, opset
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.input = INPUT

    def constant(self, array: np.ndarray | np.generic) -> str:
        """A fixed tensor of the graph; its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """One operator with one output; the output's name."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], name, domain=domain, **attributes))
        return name

    def scale(self, value: str, shift: np.ndarray, factor: np.ndarray) -> str:
        """`(value - shift) * factor` in this order, which keeps large numbers exact."""
        centred = self.node("Sub", value, self.constant(shift.astype(np.float32)))
        return self.node("Mul", centred, self.constant(factor.astype(np.float32)))

    def affine(self, value: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """`value @ weight + bias`, weight float32 [in, out]."""
        product = self.node("MatMul", value, self.constant(weight.astype(np.float32)))
        return self.node("Add", product, self.constant(bias.astype(np.float32)))

    def mean_of_first(self, value: str) -> str:
        """The mean over the first axis, which goes."""
        if self._opset < 18:
            return self.node("ReduceMean", value, axes=[0], keepdims=0)
        return self.node("ReduceMean", value, self.constant(np.array([0])), keepdims=0)

    def link(self, value: str, task: str) -> str:
        """Logits [n, k] to scores: sigmoid [n] (binary), softmax [n, k] (multiclass), or the value [n] itself."""
        if task == "multiclass":
            return self.node("Softmax", value, axis=1)
        flat = self.node("Squeeze", value, self.constant(np.array([1], dtype=np.int64)))
        return self.node("Sigmoid", flat) if task == "binary" else flat

    def finish(self, scores: str, classes: int = 0) -> bytes:
        """The graph's bytes. `classes`: columns of the scores of a multiclass task, else 0."""
        nodes = [*self._nodes, helper.make_node("Identity", [scores], [OUTPUT], OUTPUT)]
        graph = helper.make_graph(
            nodes,
            "sluice",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", self._features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", classes] if classes else ["rows"])],
            self._constants,
        )
        imports = [helper.make_opsetid("", self._opset)]
        if any(node.domain == TREES_DOMAIN for node in nodes):
            imports.append(helper.make_opsetid(TREES_DOMAIN, TREES_VERSION))
        model = helper.make_model(graph, opset_imports=imports, producer_name="sluice")
        return canonical(model)


def canonical(model: onnx.ModelProto | bytes) -> bytes:
    """A model's bytes without anything that tells where or by whom it was made.

    Metadata, doc strings, producer and intermediate shapes go (torch's exporter writes stack traces with paths
    into them); the IR version is the lowest that the operator sets need.

    Raises:
        ExportError: the bytes are no valid ONNX model.
    """
    if isinstance(model, bytes):
        model = _parse(model)
    model.producer_name, model.producer_version, model.domain, model.doc_string = "sluice", "", "", ""
    model.ir_version = max(helper.find_min_ir_version_for(list(model.opset_import), True), 8)
    del model.metadata_props[:]
    _strip(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            _strip_node(node)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _parse(data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(data)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's error classes have no common base
        raise ExportError(
            f"not a valid ONNX model: {first_line(error)}", "return onnx.ModelProto.SerializeToString()"
        ) from None
    return model


def _strip(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for part in (*graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    for node in graph.node:
        _strip_node(node)


def _strip_node(node: onnx.NodeProto) -> None:
    node.doc_string = ""
    del node.metadata_props[:]
    for attribute in node.attribute:
        attribute.doc_string = ""
        if attribute.HasField("g"):
            _strip(attribute.g)
