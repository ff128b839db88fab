"""Import Feast in a third of the time, for processes that only read features or definitions.

Feast imports torch where it is installed, and instruments its classes with typeguard: together most of the seconds
that its import takes, and of the memory. A step or a server that does not train needs neither.
"""

from __future__ import annotations

import sys
from typing import Any


def quick_feast() -> None:
    """Hide torch and typeguard's instrumentation from Feast; call it before anything imports Feast.

    After it this process cannot import torch. Where Feast or torch are there already it does nothing.
    """
    if "feast" in sys.modules or "torch" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import typeguard
    except ModuleNotFoundError:
        return
    typeguard.typechecked = _as_it_is


def _as_it_is(target: Any = None, **_options: Any) -> Any:
    return target if target is not None else _as_it_is
