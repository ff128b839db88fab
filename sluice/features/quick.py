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
    sys.meta_path.insert(0, _WithoutTorch())
    try:
        import typeguard
    except ModuleNotFoundError:
        return
    typeguard.typechecked = _as_it_is


class _WithoutTorch:
    """A finder for which torch is not installed. A None in `sys.modules` would do for Feast, but SciPy and
    scikit-learn ask `"torch" in sys.modules` and then for its classes."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """None for everything that others may find."""
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"{name} is hidden: this process does not train", name=name)


def _as_it_is(target: Any = None, **_options: Any) -> Any:
    return target if target is not None else _as_it_is
