"""What the logged bodies say: a response's rows in V1 and V2, a request's event times."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from sluice.features.schema import COMPOSED
from sluice.payloads.events import MalformedError
from sluice.payloads.names import VERSION
from sluice.payloads.parsing import parsed

FLAGS = ("unknown", "stale", "ahead", "repeated")
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class Answer:
    """The rows of one response, n of them. What the answer does not hold is None, for all rows."""

    model: str
    version: str
    server_time: datetime | None
    scores: np.ndarray
    event_ids: Sequence[str | None]
    classes: Sequence[str | None] | None
    names: tuple[str, ...]
    features: np.ndarray | None
    flags: Mapping[str, Sequence[bool] | None]
    named: Mapping[str, Sequence[list[str]] | None]

    def __len__(self) -> int:
        return len(self.scores)


def read_answer(body: bytes) -> Answer:
    """The answer in a response's body.

    Raises:
        MalformedError: it is not an answer of a model server of Sluice.
    """
    try:
        document = parsed(body)
    except ValueError:
        raise _wrong("the response is no JSON") from None
    if not isinstance(document, dict):
        raise _wrong("the response is no JSON object")
    try:
        return _read_v2(document) if "outputs" in document else _read_v1(document)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _wrong(f"the response cannot be read: {type(error).__name__}: {str(error)[:200]}") from None


def read_question(body: bytes) -> list[datetime | None] | None:
    """One event time a row of a request's body, None where there is none; None when it cannot be read."""
    try:
        document = parsed(body)
        if "inputs" in document:
            tensors = {tensor["name"]: tensor for tensor in document["inputs"]}
            count = int(next(iter(tensors.values()))["shape"][0])
            texts = list(tensors["event_time"]["data"]) if "event_time" in tensors else [None] * count
        else:
            texts = [row.get("event_time") for row in document["instances"]]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, StopIteration, OverflowError):
        return None
    return [_instant(text) for text in texts] if len(texts) <= _MOST_ROWS else None


def is_composed(model: str, body: bytes) -> bool:
    """Whether a body asks a model with features instead of events, or answers that: no event is behind it."""
    try:
        document = parsed(body)
        if "model_name" in document:
            return bool(document["model_name"] == f"{model}{COMPOSED}")
        if "inputs" in document:
            return [tensor["name"] for tensor in document["inputs"]] == ["features"]
        return isinstance(document["instances"][0], list)
    except (ValueError, TypeError, KeyError, IndexError):
        return False


def _read_v1(document: dict[str, Any]) -> Answer:
    rows = document["predictions"]
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise _wrong("predictions: expected a list of objects")
    has = rows[0].keys()
    names = tuple(_texts(document["feature_names"])) if "features" in has else ()
    return _checked(
        model=document["model_name"],
        version=document["model_version"],
        server_time=_instant(document.get("time")),
        scores=np.array([row["score"] for row in rows], dtype=np.float32),
        event_ids=[_optional(row.get("event_id")) for row in rows],
        classes=[_optional(row["class"]) for row in rows] if "class" in has else None,
        names=names,
        features=np.array([row["features"] for row in rows], dtype=np.float32) if names else None,
        flags={name: [bool(row[name]) for row in rows] if name in has else None for name in FLAGS},
        named={name: [_texts(row[name]) for row in rows] if name in has else None for name in ("unknown", "stale")},
    )


def _read_v2(document: dict[str, Any]) -> Answer:
    tensors = {tensor["name"]: tensor for tensor in document["outputs"]}
    scores = _matrix(tensors["scores"])
    parameters = document.get("parameters") or {}
    features = _matrix(tensors["features"]) if "features" in tensors else None
    ids = [_optional(value) for value in tensors["event_id"]["data"]] if "event_id" in tensors else [None] * len(scores)
    width = 0 if features is None else features.shape[1]
    names = parameters.get("feature_names")
    return _checked(
        model=document["model_name"],
        version=document["model_version"],
        server_time=_instant(parameters.get("time")),
        scores=scores,
        event_ids=ids,
        classes=None,
        # Without its names a feature is called by its place.
        names=tuple(_texts(parsed(names))) if names else tuple(str(place) for place in range(width)),
        features=features,
        flags={name: list(map(bool, tensors[name]["data"])) if name in tensors else None for name in FLAGS},
        named={"unknown": None, "stale": None},
    )


def _checked(**given: Any) -> Answer:
    """The answer, if its parts fit together."""
    answer = Answer(**given)
    count = len(answer.scores)
    if not isinstance(answer.version, str) or VERSION.fullmatch(answer.version) is None:
        raise _wrong(f"model_version: {answer.version!a} cannot be a version")
    if answer.scores.ndim not in (1, 2) or answer.scores.size == 0 or count > _MOST_ROWS:
        raise _wrong(f"scores: expected 1 to {_MOST_ROWS} rows of a number or a list of numbers")
    if answer.features is not None and answer.features.shape != (count, len(answer.names)):
        raise _wrong(f"features: expected {count} rows of {len(answer.names)}, got {answer.features.shape}")
    if len(set(answer.names)) != len(answer.names):
        raise _wrong("feature_names: a name is there twice")
    columns = [answer.event_ids, *answer.flags.values(), *([answer.classes] if answer.classes is not None else [])]
    if any(column is not None and len(column) != count for column in columns):
        raise _wrong("the columns of the response are not of one length")
    return answer


def _matrix(tensor: dict[str, Any]) -> np.ndarray:
    return np.array(tensor["data"], dtype=np.float32).reshape([int(size) for size in tensor["shape"]])


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"expected a list of names, got {str(values)[:60]!a}")
    return values


def _optional(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"expected text, got {str(value)[:60]!a}")
    return value


def _instant(text: Any) -> datetime | None:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    return None


def _wrong(message: str) -> MalformedError:
    return MalformedError("body", message, "the logger stands before something that is no model server of Sluice")
