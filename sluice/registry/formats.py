"""How documents of the registry are read: JSON with a format number, and newer formats are refused."""

from __future__ import annotations

import json
from typing import Any

from sluice.errors import IntegrityError, StoreError

FORMAT = 1
"""The format that this release writes; it reads this one and all before it."""


def read_document(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `data`; `where` names it in errors.

    Raises:
        IntegrityError: it is not a JSON object with a format number.
        StoreError: a later release wrote it.
    """
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise IntegrityError(
            f"{where} is not a document of Sluice", "it was changed from outside: restore it, then run `sluice verify`"
        )
    if document["format"] > FORMAT:
        raise StoreError(
            f"{where} has format {document['format']}; this release reads up to {FORMAT}",
            "use the release of Sluice that wrote this store, or a later one",
        )
    return document
