"""Which column is what: a role for each, with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from sluice.errors import DataError
from sluice.ingest.source import missing_column
from sluice.propose.looking import Look, instants, look_at
from sluice.settings.columns import RESERVED

RoleName = Literal["event_id", "event_time", "arrival", "entity", "value", "label", "label_time", "personal", "ignored"]

LABEL = {"label", "target", "class", "fraud", "churn", "churned", "outcome", "default", "converted", "clicked", "y"}
LATE = {"known", "label", "labelled", "labeled", "chargeback", "reported", "confirmed", "resolved", "outcome"}
ARRIVED = {"arrival", "arrived", "received", "ingested", "loaded", "processed"}
ID = {"id", "uuid", "guid", "key", "nr", "number", "no"}
THINGS = {"card", "customer", "client", "user", "account", "terminal", "device", "merchant", "shop", "store", "driver"}
PERSONAL = {"email", "mail", "phone", "mobile", "address", "street", "ssn", "iban", "pan", "birth", "dob", "passport"}
PEOPLE = {"first", "last", "full", "family", "sur", "given"}
CLASSES_AT_MOST = 20
CATEGORIES_AT_MOST = 1000


@dataclass(frozen=True)
class Role:
    """What a column is for. `name` is its name among events, `treatment` what becomes of personal data."""

    column: str
    role: RoleName
    reason: str
    name: str = ""
    treatment: Literal["", "drop", "hash"] = ""


@dataclass(frozen=True)
class Given:
    """Roles that a person gave: they are taken as they are. Columns not named are looked at."""

    event_id: str | None = None
    event_time: str | None = None
    arrival: str | None = None
    label: str | None = None
    label_time: str | None = None
    entities: tuple[str, ...] | None = None
    values: tuple[str, ...] | None = None
    personal: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def propose_roles(table: pl.DataFrame, given: Given, where: str) -> tuple[list[Role], dict[str, Look]]:
    """A role for every column of the table, in its order, and how each one looks.

    Raises:
        DataError: a given column is not there or has two roles, or no column could be the label.
    """
    looks = {name: look_at(table.get_column(name)) for name in table.columns}
    found = _given_roles(given, looks, where)
    single = {role.role for role in found.values()}
    free = [look for look in looks.values() if look.name not in found]
    if "label" not in single:
        _add(found, _label(free))
    label = next((role.column for role in found.values() if role.role == "label"), None)
    if label is None:
        raise DataError(f"{where}: no column looks like a label", f"say which: one of {', '.join(looks)}")
    for role in _times(table, [look for look in free if look.name not in found], single):
        _add(found, role)
    timed = any(role.role == "event_time" for role in found.values())
    if "event_id" not in single:
        _add(found, _event_id([look for look in free if look.name not in found]))
    clock = next((role.column for role in found.values() if role.role == "event_time"), None)
    for look in free:
        if look.name not in found:
            entities = timed and given.entities is None
            _add(found, _other(table, look, label, clock, entities, given.values is None))
    return [_named(found[name], found) for name in table.columns], looks


def _given_roles(given: Given, looks: dict[str, Look], where: str) -> dict[str, Role]:
    named: list[tuple[str | None, RoleName]] = [(column, "ignored") for column in given.ignored]
    named += [(column, "value") for column in given.values or ()]
    named += [(column, "entity") for column in given.entities or ()]
    named += [(given.arrival, "arrival"), (given.label_time, "label_time"), (given.event_id, "event_id")]
    named += [(given.event_time, "event_time"), (given.label, "label")]
    found: dict[str, Role] = {}
    for column, role in named:
        if column in found:
            raise DataError(f"column {column!r} is given as {found[column].role} and as {role}", "give it one role")
        if column is not None:
            found[column] = Role(column, role, "given")
    for column in given.personal:
        used = found.get(column)
        found[column] = Role(column, used.role, "given", treatment="hash") if used else _personal(column, "given")
    for column in found:
        if column not in looks:
            raise missing_column(where, column, "the flag that names it", list(looks))
    return found


def _add(found: dict[str, Role], role: Role | None) -> None:
    if role is not None:
        found[role.column] = role


def _label(free: Iterable[Look]) -> Role | None:
    able = [
        look for look in free if look.kind != "time" and not (look.kind == "text" and look.distinct > CLASSES_AT_MOST)
    ]
    for look in able:
        if look.words & LABEL and 2 <= look.distinct <= CLASSES_AT_MOST and not look.words & ID:
            return Role(look.name, "label", f"its name, and it has {look.distinct} values")
    for look in able:
        if look.words & LABEL and look.kind == "number":
            return Role(look.name, "label", "its name; it has many values: a regression")
    two = [look for look in able if look.distinct == 2]
    if two:
        return Role(two[-1].name, "label", "the last column with two values")
    last = [look for look in able if look.kind != "empty"][-1:]
    few = bool(last) and (last[0].kind in ("number", "whole") or last[0].distinct <= CLASSES_AT_MOST)
    return Role(last[0].name, "label", "the last column") if few and not last[0].is_unique else None


def _times(table: pl.DataFrame, free: list[Look], single: set[RoleName]) -> list[Role]:
    times = [look for look in free if look.kind == "time"]
    found: list[Role] = []
    for role, sign, why in (
        ("label_time", LATE, "when the label became known"),
        ("arrival", ARRIVED, "when it arrived"),
    ):
        match = [look for look in times if look.words & sign]
        if role not in single and match and len(times) > 1:
            found.append(Role(match[0].name, role, f"a time whose name says {why}"))  # type: ignore[arg-type]
            times.remove(match[0])
    if "event_time" not in single and times:
        first = min(times, key=lambda look: (look.missing, instants(table.get_column(look.name)).min()))
        found.append(
            Role(first.name, "event_time", "a time in every row" if not first.missing else "the earliest time")
        )
        times.remove(first)
    return found + [Role(look.name, "ignored", "a further time: say what it is, if it is needed") for look in times]


def _event_id(free: list[Look]) -> Role | None:
    unique = [look for look in free if look.is_unique and look.kind in ("whole", "text")]
    named = [look for look in unique if look.words & ID] or [look for look in unique if look.kind == "text"]
    return Role(named[0].name, "event_id", "every row has its own") if named else None


def _other(table: pl.DataFrame, look: Look, label: str, clock: str | None, entities: bool, values: bool) -> Role:
    """An entity, a value, personal data, or nothing."""
    name, repeated = look.name, look.distinct * 2 <= look.rows
    is_person = bool(look.words & PERSONAL) or bool(look.words & PEOPLE and "name" in look.words)
    if look.distinct < 2:
        return Role(name, "ignored", "it has no two values")
    if entities and look.kind in ("whole", "text") and look.words & (ID | THINGS) and repeated and look.distinct > 2:
        treatment: Literal["", "hash"] = "hash" if is_person else ""
        return Role(name, "entity", f"{look.distinct:,} ids that come again and again", treatment=treatment)
    if is_person:
        return _personal(name, "its name says that it is personal data")
    if look.words & ID and look.is_unique:
        return Role(name, "ignored", "a further id: it tells nothing about others")
    if name.lower().startswith(label.lower()) or _tells(table, name, label):
        return Role(name, "ignored", "it tells the label: known only afterwards, it would be a leak")
    if clock is not None and look.kind in ("whole", "number") and _counts_on(table, name, clock):
        return Role(name, "ignored", "it counts on with time: a model would learn the calendar")
    if not values:
        return Role(name, "ignored", "not among the values given")
    return _value(look)


def _value(look: Look) -> Role:
    if look.kind in ("number", "whole", "boolean"):
        return Role(look.name, "value", f"a {'boolean' if _two(look) else 'number'}")
    if look.kind == "text" and look.distinct <= min(CATEGORIES_AT_MOST, look.rows // 2):
        return Role(look.name, "value", f"text with {look.distinct:,} values: a category")
    return Role(look.name, "ignored", "text of its own in most rows" if look.kind == "text" else "of no use as it is")


def _two(look: Look) -> bool:
    return look.kind == "boolean" or (look.kind == "whole" and (look.low, look.high) == (0.0, 1.0))


def _personal(column: str, reason: str) -> Role:
    return Role(column, "personal", reason, treatment="drop")


def _tells(table: pl.DataFrame, column: str, label: str) -> bool:
    """Whether few values of the column determine the label in every row, and the label is not one class."""
    pairs = table.select(pl.col(column).alias("c"), pl.col(label).alias("l")).drop_nulls()
    values = pairs.get_column("c").n_unique()
    return 2 <= values <= CLASSES_AT_MOST < pairs.height and pairs.unique().height == values


def _counts_on(table: pl.DataFrame, column: str, clock: str) -> bool:
    ordered = table.select(column, clock).drop_nulls().sort(clock, column)
    values = ordered.get_column(column)
    return values.n_unique() > 10 and bool(values.is_sorted())


def _named(role: Role, found: dict[str, Role]) -> Role:
    """Names among events: an entity loses `_id`, and none is one of ours or taken twice."""
    if role.role not in ("entity", "value"):
        return role
    parts = re.findall(r"[a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", role.column).lower())
    kept = [part for part in parts if part not in ID] if role.role == "entity" else parts
    name = "_".join(kept or parts) or "column"
    name = f"x_{name}" if name[0].isdigit() else name
    taken = {other.column.lower() for other in found.values() if other.role in ("entity", "value")} - {
        role.column.lower()
    }
    return Role(
        role.column, role.role, role.reason, f"{name}_value" if name in RESERVED | taken else name, role.treatment
    )
