"""From the figures of `bench/drift_distances.py` to alarms: how often on quiet days, how soon on changed ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from drift_plain import smallest_p_values
from rich.table import Table

from sluice.watch.alibi.judging import Judged, judged, scale

RESULT = "distances.json"
"""In a seed's folder, of the detectors."""
NOTHING = "nothing"
"""The world that stays as it is."""
PLAIN_P = 0.05
"""What one writes first: an alarm where any feature's p-value is below this."""
YEAR = 365
Look = dict[str, Any]
Seed = dict[str, Any]
Alarm = Callable[[Seed, Look], bool]
Floats = npt.NDArray[np.float64]


def read_seeds(folder: Path) -> list[Seed]:
    """What was measured; distances of drawn windows as arrays [draws x k], the plain way's p-values in each look."""
    return [_read(path) for path in sorted(folder.glob(f"*/{RESULT}"))]


def _read(path: Path) -> Seed:
    seed: Seed = json.loads(path.read_text())
    drawn = seed["drawn"]
    drawn |= {"marginals": np.array(drawn["marginals"]), "classifier": np.array(drawn["classifier"])[:, None]}
    for world, smallest in smallest_p_values(path.parent, seed).items():
        for look, p_value in zip(seed["looks"][world], smallest, strict=True):
            look["plain"] = p_value
    return seed


def judge(seed: Seed, look: Look, part: slice, share: float = 1.0) -> Judged:
    """Judge some of the distances (features first, the score last) at a share of the alarm rate."""
    settings = seed["settings"]
    drawn, found = seed["drawn"]["marginals"][:, part], np.array(look["marginals"])[part]
    return judged(drawn, found, settings["alarm_rate"] * share, settings["min_distance"])


def judge_classifier(seed: Seed, look: Look, share: float = 1.0) -> Judged:
    """Judge how well trees tell the window from the reference."""
    settings = seed["settings"]
    drawn, found = seed["drawn"]["classifier"], np.array([look["classifier"]])
    return judged(drawn, found, settings["alarm_rate"] * share, settings["min_distance"])


def verdict(seed: Seed, look: Look) -> bool:
    """The product's: a broken column, or either family of distances at half of the alarm rate."""
    families = judge(seed, look, ALL, 0.5), judge_classifier(seed, look, 0.5)
    return bool(look["broken"] or any(each.moved.any() for each in families))


FEATURES, SCORE, ALL = slice(None, -1), slice(-1, None), slice(None)
ALARMS: dict[str, Alarm] = {
    "plain: any p below 0.05": lambda _, look: look["plain"] < PLAIN_P,
    "alibi-detect: any p, FDR": lambda _, look: min(look["p_values"]) < look["threshold"],
    "features, calibrated by days": lambda seed, look: bool(judge(seed, look, FEATURES).moved.any()),
    "score, calibrated by days": lambda seed, look: bool(judge(seed, look, SCORE).moved.any()),
    "classifier, calibrated by days": lambda seed, look: bool(judge_classifier(seed, look).moved.any()),
    "a broken column": lambda _, look: bool(look["broken"]),
    "the verdict": verdict,
}


def excess(drawn: Floats, found: Floats) -> float:
    """The largest distance in standard deviations of drawn windows: what the calibrated detectors compare."""
    mean, spread = scale(drawn)
    return float(((found - mean) / spread).max())


def _marginal(part: slice) -> Callable[[Seed, Look], float]:
    return lambda seed, look: excess(seed["drawn"]["marginals"][:, part], np.array(look["marginals"])[part])


STATISTICS: dict[str, Callable[[Seed, Look], float]] = {
    "plain: smallest p": lambda _, look: -look["plain"],
    "alibi-detect: smallest p": lambda _, look: -min(look["p_values"]),
    "features": _marginal(FEATURES),
    "score": _marginal(SCORE),
    "classifier": lambda seed, look: excess(seed["drawn"]["classifier"], np.array([look["classifier"]])),
}


def quiet_looks(seeds: Sequence[Seed]) -> list[tuple[Seed, Look]]:
    """All looks at worlds in which nothing changes."""
    return [(seed, look) for seed in seeds for look in seed["looks"][NOTHING]]


def at_one_rate(seeds: Sequence[Seed]) -> dict[str, Alarm]:
    """Each statistic with the threshold at which these seeds' quiet days alarm at the settings' alarm rate."""
    return {name: _beyond(statistic, seeds) for name, statistic in STATISTICS.items()}


def _beyond(statistic: Callable[[Seed, Look], float], seeds: Sequence[Seed]) -> Alarm:
    quiet = [statistic(seed, look) for seed, look in quiet_looks(seeds)]
    threshold = float(np.quantile(quiet, 1 - seeds[0]["settings"]["alarm_rate"], method="higher"))
    return lambda seed, look: statistic(seed, look) > threshold


def days_to_alarm(seeds: Sequence[Seed], world: str, alarm: Alarm) -> Floats:
    """By seed: days from the change to the end of the first day with an alarm; infinite where there is none."""
    found = []
    for seed in seeds:
        days = seed["end"] - seed["changed"]
        alarms = [alarm(seed, look) for look in seed["looks"][world][-days:]]
        found.append(float(alarms.index(True) + 1) if any(alarms) else np.inf)
    return np.array(found)


def alarm_table(title: str, seeds: Sequence[Seed], alarms: dict[str, Alarm]) -> Table:
    """A line a detector: alarms on quiet days, then median days and share found by change."""
    worlds = list(seeds[0]["looks"])
    quiet = quiet_looks(seeds)
    table = Table(title=title, caption=f"{len(quiet)} quiet days; by chance: what the world without a change gives")
    for place, column in enumerate(("", "false alarms a year", "by chance", *worlds[1:])):
        table.add_column(column, justify="right" if place else "left")
    for name, alarm in alarms.items():
        rate = float(np.mean([alarm(seed, look) for seed, look in quiet]))
        cells = [_told(days_to_alarm(seeds, world, alarm)) for world in worlds]
        table.add_row(name, f"{rate * YEAR:.0f}", *cells)
    return table


def _told(days: Floats) -> str:
    """Median days where half of the worlds have an alarm, and in how many there is one."""
    median = float(np.median(days))
    return f"{median:g} d, {np.isfinite(days).mean():.0%}" if np.isfinite(median) else f"{np.isfinite(days).mean():.0%}"
