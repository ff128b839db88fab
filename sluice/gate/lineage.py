"""Lineage, before the sealed test is opened: nobody is judged on rows they were trained on, or against themselves."""

from __future__ import annotations

import numpy as np

from sluice.errors import GateError
from sluice.gate.case import Case, Contender, Seal
from sluice.gate.verdict import Check


def lineage_checks(case: Case) -> list[Check]:
    """The checks that need no scores. If one fails the seal stays closed.

    Raises:
        GateError: the rows are not those that the seal names, or not made of these events.
    """
    if not np.array_equal(Seal.of_rows(case.rows).hashes, case.seal.hashes):
        raise GateError("the rows put before the gate are not the sealed rows", "take the test rows of the same split")
    absent = case.rows.join(case.events, on="event_id", how="anti")
    if absent.height:
        first = absent.get_column("event_id").item(0)
        raise GateError(f"{absent.height} sealed rows are not among the events, the first is {first}", "ingest again")
    return [*_train_rows(case), _not_the_champion(case), _openings_left(case)]


def _train_rows(case: Case) -> list[Check]:
    sides = [case.challenger, *([case.champion] if case.champion else []), *case.ladder]
    checks = [_disjoint(side, case.seal) for side in sides]
    failed = [check for check in checks if not check.passed]
    return failed or [
        Check(
            "lineage",
            True,
            f"no row of the seal is among the training rows of the {len(sides)} contenders",
            {"contenders": len(sides), "shared_rows": 0},
            0,
        )
    ]


def _disjoint(side: Contender, seal: Seal) -> Check:
    shared = int(np.isin(side.train_rows, seal.hashes).sum())
    text = f"{side.name} was trained on {shared} of the {len(seal.hashes)} sealed rows"
    return Check("lineage", shared == 0, text, {"contender": side.name, "shared_rows": shared}, 0)


def _not_the_champion(case: Case) -> Check:
    champion = case.champion
    if champion is None:
        return Check("not the champion", True, "no champion yet: the ladder decides")
    if case.challenger.digest == champion.digest:
        text = "the challenger is the champion, byte for byte"
    elif case.challenger.graph_digest is not None and case.challenger.graph_digest == champion.graph_digest:
        text = "the challenger's graph is the champion's, byte for byte, under another name"
    else:
        return Check("not the champion", True, "the challenger is another version than the champion")
    return Check("not the champion", False, text, {"champion": champion.digest})


def _openings_left(case: Case) -> Check:
    opened, limit = case.openings.openings(case.seal.digest), case.use_case.gate.max_openings
    left = opened < limit
    text = f"this sealed test was opened {opened} times of {limit} allowed"
    if not left:
        text += ": take a later test window, each look at it makes it worth less"
    return Check("openings", left, text, {"openings": opened}, limit)
