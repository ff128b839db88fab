"""The static int8 variant of a graph: QDQ around its products, calibrated on train rows.

Static, because dynamic quantisation scales activations by the batch: a row's score would depend on its neighbours.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from sluice.export.graph import INPUT, Graph
from sluice.export.writer import canonical

_SPEED_ROWS = (1, 256)


def products(graph: bytes) -> list[str]:
    """Names of the products with a fixed matrix, which are all that int8 speeds up.

    Stacks of matrices (a network's heads) are small and stay in float.
    """
    model = onnx.load_from_string(graph)
    matrices = {constant.name for constant in model.graph.initializer if len(constant.dims) == 2}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in matrices]


def quantised(graph: bytes, rows: np.ndarray) -> bytes:
    """The int8 graph.

    Args:
        rows: float32 [n, d], train rows that the ranges of the activations are taken from.
    """
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            onnx.load_from_string(graph),
            path,
            _Rows(rows),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            nodes_to_quantize=products(graph),
            # A scale a matrix: measured twice as fast for one row as a scale a column, and no less exact.
            per_channel=False,
            # 7-bit weights: processors without VNNI saturate sums of two 8-bit products.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True, "OpTypesToExcludeOutputQuantization": ["MatMul"]},
        )
        return canonical(path.read_bytes())


def microseconds(graph: bytes, rows: np.ndarray, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Median time of a call with one row and with 256, on one thread, in microseconds."""
    session, times = Graph(graph), {}
    for count in _SPEED_ROWS:
        batch = np.resize(rows, (count, rows.shape[1]))
        session.score(batch)
        spans = []
        for _ in range(50):
            start = clock()
            session.score(batch)
            spans.append(clock() - start)
        times[f"rows_{count}"] = float(np.median(spans)) * 1e6
    return times


class _Rows(CalibrationDataReader):  # type: ignore[misc]
    """Train rows, in one batch: their order does not count."""

    def __init__(self, rows: np.ndarray) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter([{INPUT: rows}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, None after the last."""
        return next(self._batches, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser writes advice about graphs that it did not preprocess to the root logger."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
