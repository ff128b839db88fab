"""The OpenAPI description of one served model: KServe's routes, our model's own bodies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sluice.settings.data import ValueColumn
from sluice_serving import fields, tensors
from sluice_serving.model import SluiceModel
from sluice_serving.requests import Field

_WHOLE = {"type": "integer", "minimum": 1 - 2**63, "maximum": 2**63 - 1}
_ID = {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 256}, _WHOLE]}
_INSTANT = {"type": "string", "format": "date-time"}
_DAY = r"(19[7-9]\d|2[01]\d\d|22[0-5]\d|226[01])-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-](0\d|1[0-4]):[0-5]\d)"
_ZONED = {
    "type": "string",
    "pattern": f"^{_DAY}T{_TIME}$".replace(r"\d", "[0-9]"),
    "description": "RFC 3339 with its zone, from 1970 to 2261",
    "examples": ["2018-08-08T00:01:14Z"],
}
_REFUSALS = {
    400: "The body is no JSON object, or not one of this protocol's",
    413: "Body or batch too large: serving.max_body, serving.max_batch",
    422: "A field is wrong, missing or unknown; or an unknown entity is refused",
    503: "The model or the online store does not answer",
}


def describe(generic: dict[str, Any], model: SluiceModel) -> dict[str, Any]:
    """KServe's description with the scoring routes' bodies, answers and refusals made exact."""
    document = {**generic, "info": {"title": f"Sluice: {model.name}", "version": model.identity.version[:12] or "0"}}
    paths: dict[str, Any] = document["paths"]
    for path, operations in list(paths.items()):
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "model_name":
                    parameter["schema"] = {"type": "string", "enum": [model.name]}
            operation["responses"].pop("422", None)
        if path in ("/v2/health/ready", "/v1/models/{model_name}", "/v2/models/{model_name}/ready"):
            operations["get"]["responses"]["503"] = _refusal(_REFUSALS[503])
        if "{model_name}" in path:
            for operation in operations.values():
                operation["responses"]["404"] = _refusal("There is no such model")
    _scoring(paths["/v1/models/{model_name}:predict"]["post"], v1_request(model), v1_response(model), model)
    _scoring(paths["/v2/models/{model_name}/infer"]["post"], v2_request(model), v2_response(model), model)
    return document


def v1_request(model: SluiceModel) -> dict[str, Any]:
    """JSON schema of a V1 body."""
    rows = model.reader.fields
    instance = {
        "type": "object",
        "properties": {field.name: _value_schema(field, model) for field in rows},
        "required": [field.name for field in rows if not field.optional],
        "additionalProperties": False,
    }
    instances = {"type": "array", "items": instance, "minItems": 1, "maxItems": model.reader.max_batch}
    return {"type": "object", "properties": {"instances": instances}, "required": ["instances"]}


def v1_response(model: SluiceModel) -> dict[str, Any]:
    """JSON schema of a V1 answer."""
    score: dict[str, Any] = {"type": "number"}
    classes = model.identity.classes
    names = {"type": "array", "items": {"type": "string", "enum": list(model.reader.use_case.data.columns.entities)}}
    properties: dict[str, Any] = {
        "event_id": {"type": "string"},
        "score": {"type": "array", "items": score} if classes else score,
        "features": {"type": "array", "items": {"type": ["number", "null"]}},
        "unknown": names if names["items"]["enum"] else {"type": "array"},  # type: ignore[index]
        "stale": {"type": "array", "items": {"type": "string", "enum": ["events", "labels"]}},
        "ahead": {"type": "boolean"},
        "repeated": {"type": "boolean"},
    }
    required = list(properties)
    if classes:
        properties["class"] = {"type": "string", "enum": list(classes)}
    top = {
        "predictions": {"type": "array", "items": {"type": "object", "properties": properties, "required": required}},
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "feature_names": {"type": "array", "items": {"type": "string"}},
        "time": _INSTANT,
    }
    return {"type": "object", "properties": top, "required": list(top)}


def v2_request(model: SluiceModel) -> dict[str, Any]:
    """JSON schema of a V2 body: the inputs of this model; a name may come once, all have the same length."""
    rows = model.reader.fields
    inputs = [_tensor(field, model) for field in rows]
    outputs = {"type": "array", "items": _output_name(model)}
    properties = {
        "id": {"type": "string"},
        "inputs": {
            "type": "array",
            "items": {"anyOf": inputs},
            "minItems": sum(not field.optional for field in rows),
            "maxItems": len(rows),
        },
        "outputs": outputs,
    }
    return {"type": "object", "properties": properties, "required": ["inputs"]}


def v2_response(model: SluiceModel) -> dict[str, Any]:
    """JSON schema of a V2 answer."""
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": [output["name"] for output in model.get_output_types()]},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    properties = {
        "id": {"type": "string"},
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "outputs": {"type": "array", "items": tensor},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _value_schema(field: Field, model: SluiceModel) -> dict[str, Any]:
    if field.role == "entity" and field.optional:
        return {"type": ["string", "null"], "enum": [field.read(None), None]}
    if field.role != "value":
        return _ZONED if field.role == "time" else _ID
    column = model.reader.use_case.data.columns.values[field.name]
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "number": functools.partial(_number, column),
        "boolean": lambda: {"type": "boolean"},
        "category": lambda: _ID,
    }
    schema = makers[column.type]()
    return {"oneOf": [schema, {"type": "null"}]} if column.missing == "keep" else schema


def _number(column: ValueColumn) -> dict[str, Any]:
    limits = {"minimum": column.min, "maximum": column.max}
    if column.unit is not None:
        largest = fields.LARGEST * column.unit / 2
        limits = {"minimum": max(column.min or -largest, -largest), "maximum": min(column.max or largest, largest)}
    return {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}


def _tensor(field: Field, model: SluiceModel) -> dict[str, Any]:
    properties = {
        "name": {"type": "string", "enum": [field.name]},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 4}, "minItems": 1},
        "datatype": {"type": "string", "enum": [d for d in tensors.datatypes(model.reader, field) if d != "FP16"]},
        "data": {"type": "array", "items": _value_schema(field, model), "minItems": 1, "maxItems": 4},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _output_name(model: SluiceModel) -> dict[str, Any]:
    names = [output["name"] for output in model.get_output_types()]
    return {"type": "object", "properties": {"name": {"type": "string", "enum": names}}, "required": ["name"]}


def _scoring(operation: dict[str, Any], request: dict[str, Any], answer: dict[str, Any], model: SluiceModel) -> None:
    refusals = dict(_REFUSALS)
    if model.reader.use_case.serving.stale == "refuse":
        refusals[409] = "The state of an entity is stale, and the settings refuse that"
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    operation["responses"] = {
        "200": {"description": "Scored", "content": {"application/json": {"schema": answer}}},
        **{str(status): _refusal(text) for status, text in sorted(refusals.items())},
        "404": _refusal("There is no such model"),
    }


def _refusal(text: str) -> dict[str, Any]:
    properties = {"error": {"type": "string"}, "hint": {"type": "string"}, "problems": {"type": "array"}}
    schema = {"type": "object", "properties": properties, "required": ["error"]}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
