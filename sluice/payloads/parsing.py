"""JSON of other people's making: read by orjson where that is, else by Python itself."""

from __future__ import annotations

import json
from typing import Any, NoReturn

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]


def parsed(data: bytes | str) -> Any:
    """The document.

    Raises:
        ValueError: it is no JSON (NaN and infinities are none), or nested beyond reading.
    """
    if orjson is not None:
        return orjson.loads(data)
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
