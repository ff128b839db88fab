"""The one place where alibi's explainers are imported.

`alibi.explainers` wants a module `ray`, which distributes work and is not here; an empty one of that name will do,
since nothing is distributed. The library's own placeholder for it fails with every current typing_extensions.
"""

from __future__ import annotations

import logging
import sys
from types import ModuleType

sys.modules.setdefault("ray", ModuleType("ray"))

from alibi.exceptions import PredictorCallError  # noqa: E402  the line above comes first
from alibi.explainers import AnchorTabular, KernelShap  # noqa: E402

for name in ("alibi", "shap"):
    logging.getLogger(name).setLevel(logging.ERROR)

__all__ = ["AnchorTabular", "KernelShap", "PredictorCallError"]
