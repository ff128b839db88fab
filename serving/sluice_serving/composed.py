"""The second name of a served version, `<model>-features`: scores of feature vectors that somebody composed.

An explainer asks what the score would be if a feature were another; no event and no state are behind such a vector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model

from sluice.errors import RequestError
from sluice.export.graph import Scorer
from sluice.features.schema import COMPOSED, FeatureSchema
from sluice_serving import fields
from sluice_serving.answers import Identity
from sluice_serving.metrics import Metrics
from sluice_serving.requests import InvalidRequestError, check_rows, instances_of

_TURN = 256
"""Vectors scored before other requests get their turn."""
_LARGEST = float(np.finfo(np.float32).max)
_INPUT = "features"

Problems = list[tuple[int | None, str, str]]


class ComposedModel(Model):  # type: ignore[misc]
    """A verified version that is asked with its features instead of events. It reads no state and writes none.

    Args:
        identity: of the version; the name that this model has is `identity.model` with `-features`.
        healthy: whether the version answers at all.
    """

    def __init__(
        self,
        identity: Identity,
        schema: FeatureSchema,
        graph: Scorer,
        metrics: Metrics,
        max_batch: int,
        healthy: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(f"{identity.model}{COMPOSED}")
        self._identity, self._graph, self._metrics, self._healthy = identity, graph, metrics, healthy
        self._reader = VectorReader(schema, max_batch)
        self.load()

    async def healthy(self) -> bool:
        """Whether the version answers."""
        return await self._healthy()

    async def predict(
        self,
        payload: Any,
        headers: Any = None,  # noqa: ARG002  KServe's signature
        response_headers: Any = None,  # noqa: ARG002
    ) -> dict[str, Any] | InferResponse:
        """Scores of a V1 body or a V2 request that holds vectors, as the same rows' events would have.

        Raises:
            RequestError: it does not.
        """
        v2 = isinstance(payload, InferRequest)
        try:
            matrix = self._reader.read_v2(payload) if v2 else self._reader.read_v1(payload)
        except RequestError as error:
            self._metrics.refused(error)
            raise
        scores = await self._score(matrix)
        self._metrics.composed.inc(len(matrix))
        if v2:
            output = InferOutput("scores", list(scores.shape), "FP32", scores.ravel().tolist())
            return InferResponse(payload.id or "", self.name, [output], model_version=self._identity.version)
        return self._v1(scores)

    def _v1(self, scores: np.ndarray) -> dict[str, Any]:
        predictions: list[dict[str, Any]] = [{"score": score} for score in scores.tolist()]
        if classes := self._identity.classes:
            for prediction in predictions:
                prediction["class"] = classes[int(np.argmax(prediction["score"]))]
        return {"predictions": predictions, "model_name": self.name, "model_version": self._identity.version}

    async def _score(self, matrix: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(matrix), _TURN):
            if start:
                await asyncio.sleep(0)
            parts.append(self._graph.score(matrix[start : start + _TURN]))
        return np.concatenate(parts)

    def get_input_types(self) -> list[dict[str, Any]]:
        """V2 metadata: one tensor, what an ordinary answer gives as `features`."""
        return [{"name": _INPUT, "datatype": "FP32", "shape": [-1, len(self._identity.features)]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        """V2 metadata: the scores."""
        classes = [len(self._identity.classes)] if self._identity.classes else []
        return [{"name": "scores", "datatype": "FP32", "shape": [-1, *classes]}]


class VectorReader:
    """Reads vectors of one schema: lists in its order, or objects by feature name. A category is its code.

    null is a missing number; where the schema fills it, it is filled.
    """

    def __init__(self, schema: FeatureSchema, max_batch: int) -> None:
        self._schema, self._max_batch = schema, max_batch
        self._fills = np.array([np.nan if c.fill is None else c.fill for c in schema.columns], dtype=np.float32)
        self._codes = [(i, c.cardinality) for i, c in enumerate(schema.columns) if c.kind == "category"]

    def read_v1(self, body: Any) -> np.ndarray:
        """float32 [n x features] of `{"instances": [[…], …]}`; `feature_names` beside them must be the schema's.

        Raises:
            InvalidRequestError: all mistakes of all rows at once.
        """
        rows = instances_of(body, self._max_batch)
        names = body.get("feature_names")
        if names is not None and names != list(self._schema.names):
            text = f"expected {', '.join(self._schema.names)}, got {fields.shown(names)}"
            raise InvalidRequestError([(None, "feature_names", text)])
        problems: Problems = []
        return self._matrix([self._row(number, row, problems) for number, row in enumerate(rows)], problems)

    def read_v2(self, request: InferRequest) -> np.ndarray:
        """float32 [n x features] of the one tensor `features`.

        Raises:
            InvalidRequestError: it is another tensor, or of another shape.
        """
        width = len(self._schema.columns)
        tensors = {tensor.name: tensor for tensor in request.inputs}
        if set(tensors) != {_INPUT} or len(request.inputs) != 1:
            given = ", ".join(map(ascii, tensors)) or "none"
            raise InvalidRequestError(
                [(None, "inputs", f"expected one tensor, {_INPUT}, got {given}")], reason="tensor"
            )
        shape, data = list(tensors[_INPUT].shape), tensors[_INPUT].data
        values = tensors[_INPUT].as_numpy().ravel().tolist() if data is None else _flat(data)
        if len(shape) != 2 or shape[1] != width or shape[0] * width != len(values):
            text = f"expected shape [n, {width}] and as many values, got {shape} and {len(values)}"
            raise InvalidRequestError([(None, _INPUT, text)], reason="tensor")
        check_rows(shape[0], self._max_batch)
        return self._matrix([values[i : i + width] for i in range(0, len(values), width)], [])

    def _row(self, number: int, row: Any, problems: Problems) -> list[Any]:
        names = self._schema.names
        if isinstance(row, Mapping):
            problems += [(number, name, "is missing") for name in names if name not in row]
            known = set(names)
            problems += [(number, fields.shown(n), "is not a feature of this model") for n in row if n not in known]
            return [row.get(name) for name in names]
        if not isinstance(row, list):
            problems.append((number, "instances", f"expected a list or an object, got {fields.shown(row)}"))
        elif len(row) != len(names):
            text = f"expected {len(names)} values in the order of feature_names, got {len(row)}"
            problems.append((number, "instances", text))
        else:
            return row
        return [None] * len(names)

    def _matrix(self, rows: list[list[Any]], problems: Problems) -> np.ndarray:
        if not {type(value) for row in rows for value in row} <= {float, int, type(None)}:
            problems += [
                (number, self._schema.names[i], f"expected a number, got {fields.shown(value)}")
                for number, row in enumerate(rows)
                for i, value in enumerate(row)
                if type(value) not in (float, int, type(None))
            ]
        if problems:
            raise InvalidRequestError(problems)
        values = np.array(rows, dtype=np.float64)
        self._refuse(values)
        matrix = values.astype(np.float32)
        return np.where(np.isnan(matrix), self._fills, matrix)

    def _refuse(self, values: np.ndarray) -> None:
        """Numbers that float32 does not hold, and codes that a category does not have."""
        wrong: Problems = [
            (int(row), self._schema.names[i], f"expected a number that float32 holds, got {values[row, i]}")
            for row, i in np.argwhere(np.abs(values) > _LARGEST)
        ]
        for i, count in self._codes:
            column = values[:, i]
            known = (column >= 0) & (column < count) & (column == np.floor(column))
            wrong += [
                (int(row), self._schema.names[i], f"expected a code, 0 to {count - 1}, got {column[row]}")
                for row in np.flatnonzero(~known)
            ]
        if wrong:
            raise InvalidRequestError(wrong)


def _flat(data: Any) -> list[Any]:
    return [value for part in data for value in (part if isinstance(part, list) else [part])]
