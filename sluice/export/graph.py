"""The scored graph: what the gate judges, the server serves and batch scoring runs, by the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime as ort

from sluice.errors import ExportError, first_line

INPUT, OUTPUT = "features", "scores"
_CHUNK = 65_536
"""Rows scored at once: memory stays flat whatever the table's length."""


class Scorer(Protocol):
    """What judging, serving and batch scoring need of a `Graph`."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Scores of rows: float32 [n, d] to float32 [n] or [n, k]."""


class Graph:
    """One ONNX graph: float32 features in, scores out.

    Args:
        source: path of the graph, or its bytes.
        threads: ONNX Runtime's threads inside one call.

    Raises:
        ExportError: it is no graph that ONNX Runtime loads, or not one of ours (`features` in, `scores` out).
    """

    def __init__(self, source: Path | str | bytes, threads: int = 1) -> None:
        name = "the graph" if isinstance(source, bytes) else str(source)
        try:
            model = source if isinstance(source, bytes) else Path(source).read_bytes()
            self._session = ort.InferenceSession(model, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exception classes are private
            raise ExportError(
                f"{name} does not load: {first_line(error)}", "export it again with `sluice train`"
            ) from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if [i.name for i in inputs] != [INPUT] or OUTPUT not in [o.name for o in outputs]:
            raise ExportError(
                f"{name} takes {[i.name for i in inputs]} and gives {[o.name for o in outputs]}",
                f"a graph takes one input {INPUT!r} (float32 [n, d]) and gives {OUTPUT!r}",
            )
        width = inputs[0].shape[1]
        self.features: int | None = width if isinstance(width, int) else None
        """Number of feature columns, None where the graph leaves it open."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Scores of rows.

        Args:
            matrix: float32 [n, d].

        Returns:
            float32: [n] probability of the positive class or value; [n, k] probabilities for k > 2 classes.

        Raises:
            ExportError: the matrix has another type or width than the graph takes.
        """
        if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != (self.features or matrix.shape[1]):
            raise ExportError(
                f"the graph takes float32 [n, {self.features}], got {matrix.dtype} {list(matrix.shape)}",
                "make the matrix with the schema of the same version",
            )
        starts = range(0, max(len(matrix), 1), _CHUNK)
        parts = [self._session.run([OUTPUT], {INPUT: matrix[s : s + _CHUNK]})[0] for s in starts]
        scores: np.ndarray = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return scores


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads that spin would take the core of the server's own loop.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
