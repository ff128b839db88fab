"""What a repository declares beside its windows: their columns, and the views that are online."""

from __future__ import annotations

from collections.abc import Iterable

from feast import Entity, Field
from feast.aggregation import Aggregation
from feast.types import Float64, String


def window_fields(entity: Entity, aggregations: Iterable[Aggregation]) -> list[Field]:
    """The schema of a stream feature view: its join key, then one Float64 for each aggregation."""
    key = Field(name=entity.join_key, dtype=String)
    return [key, *(Field(name=aggregation.name, dtype=Float64) for aggregation in aggregations)]
