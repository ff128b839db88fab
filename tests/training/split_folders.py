"""Train and validation rows of the small use case, as a split leaves them, and a use case with one candidate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sluice.settings import UseCase, parse_use_case
from sluice.splits.files import ROWS, SCHEMA
from training.small import NETWORK, document, rows, schema_of

PLAIN: dict[str, Any] = {**NETWORK, "dropout": 0.0, "max_epochs": 40, "patience": 2, "learning_rate": 0.03}


def folders_in(base: Path) -> dict[str, Path]:
    """`train` and `validation`; an odd number of rows, so that two processes have unequal parts."""
    made = {}
    for name, count, seed in (("train", 1501, 1), ("validation", 400, 2)):
        made[name] = base / name
        made[name].mkdir(parents=True)
        rows("binary", count, seed).write_parquet(made[name] / ROWS)
        (made[name] / SCHEMA).write_text(json.dumps(schema_of(rows("binary", 1501, 1)).document()))
    return made


def network_case(storage: dict[str, Any], params: dict[str, Any], search: Any = None, **more: Any) -> UseCase:
    """A use case whose candidate `it` is a network, trained without cards; `more` are settings of its training."""
    candidate = {"id": "it", "kind": "network", "params": params, **({"search": search} if search else {})}
    pipeline = more.pop("pipeline", {})
    return parse_use_case(
        {**document("binary", [candidate], **{"device": "cpu", **more}), "storage": storage, "pipeline": pipeline}
    )
