"""Look at a table and propose a use case: a role for each column with its reason, the task, split and windows.

`propose` looks, `Proposal.write` writes a valid use case file and, where there are entities and time, a Feast
repository beside it. Roles that a person gave are taken as they are.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from sluice.errors import DataError
from sluice.propose.looking import instants, read_whole
from sluice.propose.proposal import Proposal
from sluice.propose.roles import Given, Role, propose_roles
from sluice.settings.base import parse_duration

__all__ = ["Given", "Proposal", "Role", "propose"]


def propose(
    source: str, given: Given | None = None, *, task: str | None = None, delay: str | timedelta | None = None
) -> Proposal:
    """Look at a CSV or Parquet file, a folder or an s3:// prefix.

    Args:
        given: roles that are known.
        task: binary, multiclass or regression; default: what the label's values say.
        delay: how late labels come, where no column says when a label became known.

    Raises:
        DataError: nothing there, an empty table, a given column missing or given twice, nothing that could be a label,
            or no duration.
    """
    table = read_whole(source)
    if table.height < 2:
        raise DataError(f"{source}: {table.height} rows are too few to look at", "give a table with more rows")
    roles, looks = propose_roles(table, given or Given(), source)
    return Proposal(
        source=source,
        roles=tuple(roles),
        looks=looks,
        task=task or _task(table, roles),
        classes=_classes(table, roles, task),
        delay=None if delay is None else _duration(delay),
        span=_span(table, roles),
        busiest=_busiest(table, roles),
        label_lag=_label_lag(table, roles),
        positives=_positives(table, roles),
    )


def _duration(delay: str | timedelta) -> timedelta:
    try:
        duration: timedelta = parse_duration(delay)
    except ValueError as error:
        raise DataError(f"the labels' delay: {error}", "write it like 7d") from None
    return duration


def _one(table: pl.DataFrame, roles: list[Role], name: str) -> pl.Series | None:
    column = next((role.column for role in roles if role.role == name), None)
    return None if column is None else table.get_column(column)


def _task(table: pl.DataFrame, roles: list[Role]) -> str:
    label = _one(table, roles, "label")
    assert label is not None
    values = label.drop_nulls()
    if values.n_unique() <= 2:
        return "binary"
    return "regression" if values.dtype.is_float() or values.n_unique() > 20 else "multiclass"


def _classes(table: pl.DataFrame, roles: list[Role], task: str | None) -> list[str]:
    """Names of the classes; none where a label is 0 or 1 already."""
    label = _one(table, roles, "label")
    assert label is not None
    if (task or _task(table, roles)) == "regression":
        return []
    names = [str(value) for value in label.drop_nulls().unique().sort()]
    plain = {"0", "1", "0.0", "1.0", "true", "false"}
    return [] if len(names) <= 2 and {name.lower() for name in names} <= plain else names


def _positives(table: pl.DataFrame, roles: list[Role]) -> float:
    label = _one(table, roles, "label")
    assert label is not None
    counts = label.drop_nulls().value_counts().get_column("count")
    return float(counts.min() or 0) / max(1, int(counts.sum()))  # type: ignore[arg-type]


def _span(table: pl.DataFrame, roles: list[Role]) -> timedelta | None:
    time = _one(table, roles, "event_time")
    if time is None:
        return None
    known = instants(time).drop_nulls()
    return known.max() - known.min()  # type: ignore[operator,return-value]


def _label_lag(table: pl.DataFrame, roles: list[Role]) -> timedelta | None:
    """How late almost all labels are, rounded up to whole hours."""
    time, known = _one(table, roles, "event_time"), _one(table, roles, "label_time")
    if time is None or known is None:
        return None
    lag = (instants(known).dt.replace_time_zone(None) - instants(time).dt.replace_time_zone(None)).drop_nulls()
    hours = lag.dt.total_seconds().quantile(0.99, "higher")
    return None if hours is None else timedelta(hours=-(-int(hours) // 3600))


def _busiest(table: pl.DataFrame, roles: list[Role]) -> dict[str, int]:
    """Rows of each entity's busiest id."""
    entities = [role for role in roles if role.role == "entity"]
    return {role.name: int(table.get_column(role.column).value_counts().get_column("count").max()) for role in entities}  # type: ignore[arg-type]
