"""Forget a person: remove their rows from stored tables, and keep the log explainable.

Reached: every registered table of rows (evidence such as sealed scores, tables stored with `store_rows`), all caches
of steps and checkpoints, and on S3 every earlier version of these objects. The log gets one entry that names the
removed and the replacing tables, how many rows went and why; never whose they were.

Not reached, and told: the source of the events, the online store, run folders on other machines, backups of the store,
what a model learned, metrics computed with the rows, and the row hashes that seals and lineage checks need.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from sluice.errors import RegistryError
from sluice.registry.registry import Registry
from sluice.registry.rows import RowTable, register_rows, row_tables, rows_key
from sluice.storage import blob_key

CACHES = ("steps", "checkpoints")
"""Prefixes of what is made anew from events when it is missing; it is removed as a whole."""
NOT_REACHED = (
    "the source of the events: remove the person there first, else the next run brings the rows back",
    "the online store: delete the entity's keys, or materialise anew",
    "run folders and reused steps (remove them), downloaded versions and reports, backups of the store",
    "what models learned from the rows, and figures computed with them: train anew where the law asks for it",
    "hashes of row ids in versions and seals: needed to prove that no sealed row was trained on",
)


@dataclass(frozen=True)
class Forgotten:
    """What happened: number of the log's entry (None: nothing was found), tables, rows and caches removed."""

    decision: int | None
    tables: int
    rows: int
    caches: int
    not_reached: tuple[str, ...]


def forget(
    registry: Registry,
    *,
    entity: str,
    key: str,
    reason: str,
    event_ids: Collection[str] = (),
    caches: tuple[str, ...] = CACHES,
) -> Forgotten:
    """Remove an entity's rows from everything stored for a model.

    Args:
        entity: the entity's name (`card`); tables with a column of this name lose the rows where it is `key`.
        event_ids: the entity's events; tables without such a column lose the rows with these ids.
        caches: prefixes that are removed as a whole.

    Raises:
        RegistryError: no reason is given.
    """
    if not reason.strip():
        raise RegistryError("to forget needs a reason", "say why, with --reason")
    store, model = registry.store, registry.model
    cached = [name for prefix in caches for name in store.keys(prefix)]
    for name in cached:
        store.purge(name)
    changed, unreached = [], list(NOT_REACHED)
    for table in row_tables(store, model):
        if store.exists(blob_key(table.digest)):
            left = _without(pl.read_parquet(io.BytesIO(store.get_blob(table.digest))), entity, key, event_ids)
            if left is None:
                unreached.append(f"{table.name} ({table.digest[:12]}): it has neither a column {entity} nor event_id")
            elif left[1]:
                changed.append((table, _replacement(registry, table, left[0]), left[1]))
    if not changed:
        return Forgotten(None, 0, 0, len(cached), tuple(unreached))
    tables = [{"removed": t.digest, "replaced_by": new, "name": t.name, "rows": n} for t, new, n in changed]
    decision = registry.record_forgotten(tables, reason=reason)
    # Only now: a kill before leaves everything as it was, a kill here is seen by `verify` and ended by `gc`.
    for table, _, _ in changed:
        store.purge(blob_key(table.digest))
        store.purge(rows_key(model, table.digest))
    rows = sum(count for _, _, count in changed)
    return Forgotten(decision.number, len(changed), rows, len(cached), tuple(unreached))


def _without(table: pl.DataFrame, entity: str, key: str, event_ids: Collection[str]) -> tuple[pl.DataFrame, int] | None:
    found = pl.lit(False)
    columns = [name for name in (entity, "event_id") if name in table.columns]
    if not columns:
        return None
    if entity in table.columns:
        found = found | (pl.col(entity).cast(pl.String) == key).fill_null(False)
    if "event_id" in table.columns and event_ids:
        found = found | pl.col("event_id").cast(pl.String).is_in(list(event_ids)).fill_null(False)
    if entity not in table.columns and not event_ids:
        return None
    left = table.filter(~found)
    return left, table.height - left.height


def _replacement(registry: Registry, table: RowTable, left: pl.DataFrame) -> str | None:
    if left.is_empty():
        return None
    buffer = io.BytesIO()
    left.write_parquet(buffer)
    digest = registry.store.put_blob(buffer.getvalue())
    register_rows(registry.store, table.model, digest, table.name)
    return digest
