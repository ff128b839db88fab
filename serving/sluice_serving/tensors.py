"""The V2 (open inference) form of a request: one named tensor a field, all of the same length."""

from __future__ import annotations

import math
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from kserve import InferInput, InferOutput, InferRequest, InferResponse

from sluice.features.lookup import Requests
from sluice_serving.answers import Identity, Scored, numbers, timestamp
from sluice_serving.requests import Field, InvalidRequestError, RequestReader

_NUMBERS = ("FP64", "FP32", "FP16", "INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")
_WHOLE = tuple(name for name in _NUMBERS if "INT" in name)
_FLAGS = ("unknown", "stale", "ahead", "repeated")


def datatypes(reader: RequestReader, field: Field) -> tuple[str, ...]:
    """Datatypes that a field's tensor may have, the preferred one first."""
    if field.role == "time":
        return ("BYTES",)
    if field.role in ("id", "entity"):
        return ("BYTES", *_WHOLE)
    kind = reader.use_case.data.columns.values[field.name].type
    return {"number": _NUMBERS, "boolean": ("BOOL", *_WHOLE), "category": ("BYTES", *_WHOLE)}[kind]


def input_types(reader: RequestReader) -> list[dict[str, Any]]:
    """One entry a field: name, preferred datatype, shape."""
    return [{"name": f.name, "datatype": datatypes(reader, f)[0], "shape": [-1]} for f in reader.fields]


def output_types(identity: Identity) -> list[dict[str, Any]]:
    """One entry an output tensor."""
    scores = [-1, len(identity.classes)] if identity.classes else [-1]
    return [
        {"name": "scores", "datatype": "FP32", "shape": scores},
        {"name": "event_id", "datatype": "BYTES", "shape": [-1]},
        {"name": "features", "datatype": "FP32", "shape": [-1, len(identity.features)]},
        *({"name": flag, "datatype": "BOOL", "shape": [-1]} for flag in _FLAGS),
    ]


def read_v2(reader: RequestReader, request: InferRequest) -> Requests:
    """The requests of named tensors.

    Raises:
        InvalidRequestError: a tensor is missing, unknown, doubled, of the wrong type or length, or holds wrong values.
    """
    tensors: dict[str, InferInput] = {}
    for tensor in request.inputs:
        if tensor.name in tensors:
            raise _wrong(tensor.name, "is there twice")
        tensors[tensor.name] = tensor
    known = {field.name: field for field in reader.fields}
    for name in tensors:
        if name not in known:
            raise _wrong(ascii(name), f"is not an input of this model; expected {', '.join(known)}")
    columns = {name: _values(reader, known[name], tensor) for name, tensor in tensors.items()}
    counts = {name: len(values) for name, values in columns.items()}
    count = next(iter(counts.values()), 0)
    for name, found in counts.items():
        if found != count:
            raise _wrong(name, f"expected {count} values as the other inputs have, got {found}")
    reader.check_rows(count)
    return reader.read_rows([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


def v2_answer(
    identity: Identity, scored: Scored, request: InferRequest, now: datetime, *, always: bool = False
) -> InferResponse:
    """The V2 response with the outputs asked for (default: all).

    Args:
        always: hold all outputs and the features' names, whatever was asked for: the payload ledger reads bodies alone.
    """
    values: dict[str, tuple[str, list[int], list[Any]]] = {
        "scores": ("FP32", list(scored.scores.shape), _flat(scored.scores)),
        "event_id": ("BYTES", [len(scored.event_id)], scored.event_id),
        "features": ("FP32", list(scored.matrix.shape), _flat(scored.matrix)),
    }
    flags = (map(bool, scored.unknown), map(bool, scored.stale), scored.ahead.tolist(), scored.repeated.tolist())
    for name, flag in zip(_FLAGS, flags, strict=True):
        values[name] = ("BOOL", [len(scored.event_id)], list(flag))
    asked = [output.name for output in request.request_outputs or []] or list(values)
    for name in asked:
        if name not in values:
            raise _wrong(f"outputs.{name!a}", f"is not an output of this model; expected {', '.join(values)}")
    parameters = {"time": timestamp(now)}
    if always:
        asked = [*asked, *(name for name in values if name not in asked)]
        parameters["feature_names"] = orjson.dumps(identity.features).decode()
    return InferResponse(
        response_id=request.id or str(uuid4()),
        model_name=identity.model,
        model_version=identity.version,
        infer_outputs=[InferOutput(name, values[name][1], values[name][0], values[name][2]) for name in asked],
        parameters=parameters,
    )


def _values(reader: RequestReader, field: Field, tensor: InferInput) -> list[Any]:
    allowed = datatypes(reader, field)
    if tensor.datatype not in allowed:
        raise _wrong(field.name, f"expected datatype {' or '.join(allowed)}, got {tensor.datatype!a}")
    shape = list(tensor.shape)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1) or shape[0] < 0:
        raise _wrong(field.name, f"expected shape [n] or [n, 1], got {shape}")
    values = _binary(tensor) if tensor.data is None else list(tensor.data)
    if len(values) == 1 and isinstance(values[0], list) and shape[0] != 1:
        values = values[0]
    values = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]
    if len(values) != shape[0]:
        raise _wrong(field.name, f"shape {shape} says {shape[0]} values, got {len(values)}")
    whole = tensor.datatype in _WHOLE
    return [_json(value, whole) for value in values]


def _binary(tensor: InferInput) -> list[Any]:
    try:
        array = tensor.as_numpy()
    except Exception:  # truncated buffers raise struct.error, ValueError or TypeError, by datatype
        raise _wrong(tensor.name, "its binary data do not fit its datatype and shape") from None
    return [value.decode("utf-8", "strict") if isinstance(value, bytes) else value for value in array.ravel().tolist()]


def _json(value: Any, whole: bool) -> Any:
    """JSON writes whole numbers of a whole type as 1.0 at times; NaN in a tensor is a missing value."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if whole and value.is_integer() else value
    return value


def _flat(array: np.ndarray) -> list[Any]:
    return [value for row in numbers(array.reshape(len(array), -1)) for value in row]


def _wrong(field: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError([(None, field, problem)], HTTPStatus.BAD_REQUEST, "tensor")
