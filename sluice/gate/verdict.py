"""The verdict: a list of checks with their figures, in words, as JSON and as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl
from rich.table import Table

from sluice.errors import GateError

FORMAT = 1
Figure = float | int | str | bool | None


@dataclass(frozen=True)
class Check:
    """One check: what was measured, what was allowed, whether that is so, and a sentence that says it."""

    name: str
    passed: bool
    text: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    threshold: Figure = None


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger.

    `opened` tells whether the sealed test was looked at. `smallest_detectable_effect` is the improvement that this
    sealed set shows four times in five; None when it was not opened. `counts` (rows, clusters, positives, openings),
    `seeds` and `digests` (challenger, champion, graph, seal) say what was judged. `scores` holds event_id, label and
    one column (multiclass: one a class) per contender; report and card are drawn from it, the document leaves it out.
    """

    checks: tuple[Check, ...]
    opened: bool
    metric: str
    alpha: float
    smallest_detectable_effect: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str | None] = field(default_factory=dict)
    scores: pl.DataFrame | None = field(default=None, compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """All checks passed, and there were some."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that did not pass, in order."""
        return tuple(check for check in self.checks if not check.passed)

    def reason(self) -> str:
        """One sentence: why it was promoted or why not."""
        if self.passed:
            return f"passed all {len(self.checks)} checks"
        first, *others = self.refusals
        more = f" (and {len(others)} more: {', '.join(c.name for c in others)})" if others else ""
        return f"{first.text}{more}"

    def document(self) -> dict[str, Any]:
        """The JSON form that is stored: numbers are finite or null."""
        return {
            "format": FORMAT,
            "passed": self.passed,
            "reason": self.reason(),
            "checks": [_plain(asdict(check)) for check in self.checks],
            "opened": self.opened,
            "metric": self.metric,
            "alpha": self.alpha,
            "smallest_detectable_effect": _finite(self.smallest_detectable_effect),
            "counts": dict(self.counts),
            "seeds": dict(self.seeds),
            "digests": dict(self.digests),
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Verdict:
        """Inverse of `document`, without the scores.

        Raises:
            GateError: a format that this release does not know.
        """
        if document.get("format") != FORMAT:
            raise GateError(
                f"a verdict of format {document.get('format')!r}; this release reads {FORMAT}", "update sluice"
            )
        return Verdict(
            checks=tuple(Check(**check) for check in document["checks"]),
            opened=document["opened"],
            metric=document["metric"],
            alpha=document["alpha"],
            smallest_detectable_effect=document["smallest_detectable_effect"],
            counts=document["counts"],
            seeds=document["seeds"],
            digests=document["digests"],
        )

    def table(self) -> Table:
        """For `rich.print`: one line a check."""
        table = Table(title=f"Gate: {'passed' if self.passed else 'refused'}", caption=self.reason())
        for column in ("check", "", "threshold", "what was found"):
            table.add_column(column, overflow="fold")
        for check in self.checks:
            mark = "[green]passed[/]" if check.passed else "[red]refused[/]"
            table.add_row(check.name, mark, _shown(check.threshold), check.text)
        return table


def _plain(check: dict[str, Any]) -> dict[str, Any]:
    figures = {name: _finite(value) for name, value in check["figures"].items()}
    return {**check, "figures": figures, "threshold": _finite(check["threshold"])}


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _shown(value: Figure) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
