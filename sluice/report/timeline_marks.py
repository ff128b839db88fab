"""What happened in a model's life, above its plots: numbers and words that do not cover one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import altair as alt

from sluice.report import drawing

Chart = Any


@dataclass(frozen=True)
class Mark:
    """Something that happened at an instant; `kind` is one of `MARKS`, `text` a few words, `told` a sentence."""

    at: datetime
    kind: str
    text: str
    told: str = ""


MARKS = {
    "world": drawing.INK,
    "drift": drawing.POSITIVE,
    "fall": drawing.POSITIVE,
    "alert": drawing.RUNGS[3],
    "run": drawing.CHALLENGER,
    "kept": drawing.RUNGS[1],
}
"""What is marked, and its colour: the world changed, the monitor found something, told it, trained, all is well."""
_LETTER, _ALONE, _ROW = 7, 24, 22
"""Pixels of a letter of a mark's words, of a mark without words, and the height of a row of marks."""


class PlacedMarks:
    """Marks along a plot.

    Args:
        since, at: instants of the plot's left and right edge.
        width: of the plot, in pixels.
        words: whether there is room for words beside the numbers.
    """

    def __init__(self, marks: Sequence[Mark], since: datetime, at: datetime, width: int, *, words: bool) -> None:
        self._marks, self._since, self._at, self._width, self._words = marks, since, at, width, words
        self._rows = self._placed()

    @property
    def height(self) -> int:
        """Pixels that they take above the plot."""
        return _ROW * (max(self._rows, default=0) + 1)

    def layers(self, x: Any, *, numbers: bool = False) -> list[Chart]:
        """A line at each mark; with `numbers` its number above the plot and, where there is room, its words.

        Args:
            x: the plot's axis of time, of the field `at`.
        """
        layers = []
        for i, (mark, row) in enumerate(zip(self._marks, self._rows, strict=True), 1):
            at = mark.at.astimezone(UTC).isoformat()
            base = alt.Chart(drawing.rows([{"at": at, "number": str(i), "text": mark.text}])).encode(x=x)
            layers.append(base.mark_rule(strokeWidth=1.4, strokeDash=[3, 3], opacity=0.8, color=MARKS[mark.kind]))
            layers += self._head(base, mark, row) if numbers else []
        return layers

    def _head(self, base: Chart, mark: Mark, row: int) -> list[Chart]:
        up = alt.value(-12 - _ROW * row)
        dot = base.mark_point(filled=True, size=270, opacity=1, color=MARKS[mark.kind]).encode(y=up)
        number = base.mark_text(fontSize=11, fontWeight="bold", color=drawing.PAPER).encode(y=up, text="number:N")
        if not self._words:
            return [dot, number]
        align, dx = ("right", -13) if self._turns(mark) else ("left", 13)
        words = base.mark_text(fontSize=12, color=drawing.INK, align=align, dx=dx).encode(y=up, text="text:N")
        return [dot, number, words]

    def _left(self, mark: Mark) -> float:
        """Pixels from the plot's left edge."""
        return (mark.at - self._since) / (self._at - self._since) * self._width

    def _room(self, mark: Mark) -> float:
        """Pixels that a mark takes, with its words where there is room for words."""
        return _ALONE + (_LETTER * len(mark.text) if self._words else 0)

    def _turns(self, mark: Mark) -> bool:
        """Whether its words stand on its left: on the right they would leave the plot."""
        return self._left(mark) + self._room(mark) > self._width + _ALONE

    def _placed(self) -> list[int]:
        """The row above the plot that each mark is written in: 0 is the lowest, none covers another."""
        rows: list[int] = []
        ends: list[float] = []
        for mark in self._marks:
            left, room = self._left(mark), self._room(mark)
            start, end = (left - room, left + _ALONE) if self._turns(mark) else (left, left + room)
            row = next((row for row, taken in enumerate(ends) if taken <= start), len(ends))
            ends[row : row + 1] = [end]
            rows.append(row)
        return rows
