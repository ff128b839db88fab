"""The InferenceService that the manifests bring."""

from __future__ import annotations

import copy
from typing import Any

from tests.manifests.rendered import of_kind, overlay


def template(name: str) -> dict[str, Any]:
    """A copy of an overlay's InferenceService."""
    (found,) = of_kind(overlay(name), "InferenceService")
    return copy.deepcopy(found)
