"""The reference of a version: what its features and scores were like when it was trained.

Rows, not detectors: whatever is computed from them can be computed anew. They are evidence of the version's decision
and not files of the version, so that a person's rows can be forgotten (docs/decisions/0020-drift.md).
`sluice.watch.sampling` draws them; what reads them may run where nothing is that computes features.
"""

from __future__ import annotations

import io

import polars as pl

from sluice.errors import WatchError
from sluice.registry import Registry

REFERENCE = "reference.parquet"


def read_reference(registry: Registry, version: str) -> pl.DataFrame:
    """The reference beside the newest decision on a version that has one, less what was forgotten.

    Raises:
        WatchError: the version has none: it was trained by an earlier release, or all of it was forgotten.
    """
    for decision in reversed(registry.log()):
        if decision.version == version and REFERENCE in decision.evidence:
            return pl.read_parquet(io.BytesIO(registry.evidence(decision, REFERENCE)))
    raise WatchError(
        f"version {version[:12]} of {registry.model} has no reference to compare with",
        "it was trained by a release that kept none: train anew with `sluice run`",
    )
