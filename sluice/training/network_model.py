"""A trained network beside its preprocessing: scores and writes itself as one graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from onnx import TensorProto
from torch import Tensor

from sluice.export.writer import GraphWriter
from sluice.training.network import TabularNetwork
from sluice.training.preprocessing import Categories, Numbers

SCORE_ROWS = 8192


@dataclass(frozen=True)
class Preparation:
    """From the matrix to what the network takes."""

    numbers: Numbers
    categories: Categories

    def apply(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float32 [n, d] to numbers float32 [n, m] and codes int64 [n, c]."""
        codes = np.clip(x[:, self.categories.columns], 0, self.categories.sizes - 1)
        return self.numbers.apply(x), codes.astype(np.int64)


@dataclass(frozen=True)
class NetworkModel:
    """`shift` and `spread` bring a regression's standardised value back."""

    task: str
    preparation: Preparation
    network: TabularNetwork
    shift: float
    spread: float
    features: int
    opset: int
    threads: int

    def score(self, x: np.ndarray) -> np.ndarray:
        """[n] probability or value, [n, k] for k classes."""
        numbers, codes = (torch.from_numpy(part) for part in self.preparation.apply(x))
        with fixed_threads(self.threads):
            return self.scale(predict(self.network, self.task, numbers, codes))

    def scale(self, scores: np.ndarray) -> np.ndarray:
        """A regression's scores in the label's unit; others as they are."""
        return scores * np.float32(self.spread) + np.float32(self.shift) if self.task == "regression" else scores

    def to_onnx(self) -> bytes:
        """Preprocessing, encoding, blocks, and the mean over members."""
        graph, shape = GraphWriter(self.features, self.opset), self.network.shape
        hidden = self._inputs(graph)
        if self.network.adapter is not None:
            rows = graph.node("Unsqueeze", hidden, graph.constant(np.array([0])))
            hidden = graph.node("Mul", rows, graph.constant(_array(self.network.adapter)))
        first = self.network.first
        hidden = graph.node("Relu", graph.affine(hidden, _array(first.weight).T, _array(first.bias)))
        for block in self.network.blocks:
            normed = _norm(graph, hidden, block.norm)  # type: ignore[arg-type]
            inner = graph.affine(normed, _array(block.inner.weight).T, _array(block.inner.bias))  # type: ignore
            outer = graph.affine(graph.node("Relu", inner), _array(block.outer.weight).T, _array(block.outer.bias))  # type: ignore
            hidden = graph.node("Add", hidden, outer)
        logits = self._heads(graph, _norm(graph, hidden, self.network.norm))
        return graph.finish(self._scores(graph, logits), shape.outputs if self.task == "multiclass" else 0)

    def _inputs(self, graph: GraphWriter) -> str:
        parts, categories = [], self.preparation.categories
        if self.network.shape.numbers:
            numbers = self.preparation.numbers.write(graph)
            parts.append(numbers)
            if self.network.shape.bins:
                parts.append(self._encoded(graph, numbers))
        if self.network.embedding is not None:
            codes = graph.node("Gather", graph.input, graph.constant(categories.columns), axis=1)
            high = graph.constant((categories.sizes - 1).astype(np.float32))
            held = graph.node("Min", graph.node("Max", codes, graph.constant(np.float32(0))), high)
            whole = graph.node("Cast", held, to=TensorProto.INT64)
            shifted = graph.node("Add", whole, graph.constant(_array(self.network.offsets)))
            looked_up = graph.node("Gather", graph.constant(_array(self.network.embedding.weight)), shifted, axis=0)
            parts.append(graph.node("Flatten", looked_up, axis=1))
        return graph.node("Concat", *parts, axis=1)

    def _encoded(self, graph: GraphWriter, numbers: str) -> str:
        column = graph.node("Unsqueeze", numbers, graph.constant(np.array([2])))
        scaled = graph.scale(column, _array(self.network.lower), _array(self.network.inverse))
        held = graph.node("Clip", scaled, graph.constant(np.float32(0)), graph.constant(np.float32(1)))
        return graph.node("Flatten", held, axis=1)

    def _heads(self, graph: GraphWriter, hidden: str) -> str:
        """Logits [members, rows, outputs], or [rows, outputs] of a single member."""
        one = self.network.adapter is None
        head, bias = _array(self.network.head), _array(self.network.bias)
        return graph.affine(hidden, head[0] if one else head, bias[0] if one else bias)

    def _scores(self, graph: GraphWriter, logits: str) -> str:
        if self.task == "multiclass":
            logits = graph.node("Softmax", logits, axis=-1)
        elif self.task == "binary":
            logits = graph.node("Sigmoid", logits)
        if self.network.adapter is not None:
            logits = graph.mean_of_first(logits)
        if self.task == "multiclass":
            return logits
        flat = graph.node("Squeeze", logits, graph.constant(np.array([1])))
        if self.task == "binary":
            return flat
        spread, shift = graph.constant(np.float32(self.spread)), graph.constant(np.float32(self.shift))
        return graph.node("Add", graph.node("Mul", flat, spread), shift)


def predict(network: TabularNetwork, task: str, numbers: Tensor, codes: Tensor, rows: int = SCORE_ROWS) -> np.ndarray:
    """Scores of prepared rows, float32 [n] or [n, k], the mean over members; at most `rows` at once on the network's
    device."""
    device = network.head.device
    network.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(numbers), rows):
            chunk = slice(start, start + rows)
            logits = network(numbers[chunk].to(device), codes[chunk].to(device))
            parts.append(shares(task, logits).mean(dim=0).cpu())
    scores = torch.cat(parts).numpy()
    return scores if task == "multiclass" else scores[:, 0]


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Sums depend on their order, and that on the number of threads; the caller's own number is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def shares(task: str, logits: Tensor) -> Tensor:
    """Probabilities of logits [..., outputs]; a regression's values as they are."""
    if task == "multiclass":
        return logits.softmax(dim=-1)
    return logits.sigmoid() if task == "binary" else logits


def _norm(graph: GraphWriter, value: str, norm: torch.nn.LayerNorm) -> str:
    weight, bias = graph.constant(_array(norm.weight)), graph.constant(_array(norm.bias))
    return graph.node("LayerNormalization", value, weight, bias, axis=-1, epsilon=norm.eps)


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array
