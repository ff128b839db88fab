"""Do the rows hold what the raw events say, and does production score them as they were judged?"""

from __future__ import annotations

import numpy as np
import polars as pl

from sluice.gate.case import Case
from sluice.gate.recompute import recompute
from sluice.gate.verdict import Check, Figure

TOLERANCE = 1e-6
"""Largest difference between the judged score and the served one: float32 sums in another order."""


def sample_of(case: Case, rows: pl.DataFrame) -> pl.DataFrame:
    """`gate.parity_rows` of the sealed rows, drawn by the seed, sorted by time.

    Up to half come from the rarer labels: a leak of the label shows there, and among frauds drawn at random there
    would hardly be one.
    """
    count = min(case.use_case.gate.parity_rows, rows.height)
    drawn = rows.select("event_id", "label").sample(fraction=1, shuffle=True, seed=case.seed)
    if case.use_case.task == "regression":
        chosen = drawn.head(count)
    else:
        classes = drawn.get_column("label").n_unique()
        rare = drawn.filter(pl.int_range(pl.len()).over("label") < count // classes)
        chosen = pl.concat([rare, drawn.join(rare, on="event_id", how="anti")]).head(count)
    return rows.join(chosen, on="event_id", how="semi").sort("event_time", "event_id")


def features_recomputed(case: Case, sample: pl.DataFrame) -> Check:
    """The sampled rows' features equal those computed from the raw events, bit for bit as the graph gets them.

    A feature that the graph takes and no definition gives is refused; those of ordinary feature views (`case.joined`)
    come from tables that the gate has not, and are named in the figures.
    """
    ids = sample.get_column("event_id").to_list()
    truth = recompute(case.use_case, case.views, case.events, case.labels, ids)
    given = [name for name in truth.columns if name != "event_id"]
    taken = case.challenger.schema.names if case.challenger.schema else tuple(given)
    unknown = sorted(set(taken) - set(given) - set(case.joined))
    names = [name for name in given if name in taken]
    absent = [name for name in names if name not in sample.columns]
    wrong = {name: _differing(sample, truth, name) for name in names if name not in absent}
    differing = {name: count for name, count in wrong.items() if count}
    figures: dict[str, Figure] = {
        "rows": len(ids),
        "features": len(names),
        "differing": sum(differing.values()),
        **_worst(differing),
    }
    if case.joined:
        figures["not_recomputed"] = ", ".join(case.joined)
    if unknown:
        text = f"no declared window or request feature gives {', '.join(unknown)}, which the graph takes"
    elif absent:
        text = f"the sealed rows have no feature {', '.join(absent)}"
    elif differing:
        worst = max(differing, key=lambda name: differing[name])
        others = f" (and {len(differing) - 1} more features)" if len(differing) > 1 else ""
        text = f"{worst} differs from the raw events in {differing[worst]} of {len(ids)} sampled rows{others}"
    else:
        text = f"{len(names)} features of {len(ids)} sampled rows equal those recomputed from the raw events"
    return Check("features recomputed", not (unknown or absent or differing), text, figures, 0)


def _worst(differing: dict[str, int]) -> dict[str, str]:
    ordered = sorted(differing, key=lambda name: (-differing[name], name))
    return {"wrong": ", ".join(ordered)} if ordered else {}


def _differing(sample: pl.DataFrame, truth: pl.DataFrame, name: str) -> int:
    ours, theirs = sample.get_column(name), truth.get_column(name)
    if pl.String in (ours.dtype, theirs.dtype):
        return int((~ours.cast(pl.String).eq_missing(theirs.cast(pl.String))).sum())
    one, other = (s.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float32) for s in (ours, theirs))
    return int((~((one == other) | (np.isnan(one) & np.isnan(other)))).sum())


def served_as_judged(case: Case, sample: pl.DataFrame, judged: np.ndarray) -> list[Check]:
    """The serving path runs the judged graph, and scores the sampled events as the gate did.

    Args:
        judged: the challenger's scores of the sample, [n] or [n, k].
    """
    if case.serving is None:
        return [Check("serving parity", False, "there is no serving path to compare with", {}, TOLERANCE)]
    same = case.serving.graph_digest == case.challenger.graph_digest
    text = "the served graph is the judged one" if same else "the graph that would be served is not the judged one"
    graph = Check("served graph", same, text, {"served": case.serving.graph_digest})
    events = case.events.join(sample.select("event_id"), on="event_id", how="semi")
    order = sample.select("event_id").join(events, on="event_id", how="left", maintain_order="left")
    return [graph, _equal_scores(np.asarray(case.serving.score(order)), judged)]


def _equal_scores(served: np.ndarray, judged: np.ndarray) -> Check:
    if served.shape != judged.shape:
        text = f"serving gives scores of shape {list(served.shape)}, not {list(judged.shape)}"
        return Check("serving parity", False, text, {}, TOLERANCE)
    apart = np.abs(served.astype(np.float64) - judged.astype(np.float64)).reshape(len(judged), -1).max(1)
    far = int((~(apart <= TOLERANCE)).sum())
    largest = float(np.nanmax(apart, initial=0.0))
    text = f"{len(judged) - far} of {len(judged)} sampled rows are served with the judged score"
    if far:
        text += f"; the largest difference is {largest:.3g}"
    figures: dict[str, Figure] = {"rows": len(judged), "differing": far, "largest": largest}
    return Check("serving parity", far == 0, text, figures, TOLERANCE)
