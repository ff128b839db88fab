"""How far a window lies from a reference, feature by feature and in scores; and windows drawn from the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.features.schema import FeatureSchema
from sluice.watch.alibi import days
from sluice.watch.alibi.columns import matrices, scores

DAY_US = 86_400_000_000
Floats = npt.NDArray[np.float64]


class Comparison:
    """A window and a reference, cut to the same number of rows a day.

    Attributes:
        all, window: all rows of the window, and those that are compared.
        days: the reference's days, as numbers since 1970.
        place: each compared row's position among them, int64 [reference rows + window rows]; the window's is one more.
        x: features of reference and window, float32 [rows x features].
        drawn: which days are in each window drawn from the reference, bool [draws x days].
    """

    def __init__(
        self, schema: FeatureSchema, reference: pl.DataFrame, window: pl.DataFrame, settings: dict[str, Any], seed: int
    ) -> None:
        self.schema, self.settings, self.seed = schema, settings, seed
        self._random = np.random.default_rng(seed)
        self.all = window
        self.reference = reference
        self.days, place = np.unique(day_of(reference), return_inverse=True)
        window_days = np.unique(day_of(window))
        wanted = max(1, round(reference.height / len(self.days) * len(window_days)))
        self.window = window.sample(min(window.height, wanted), seed=seed)
        # The window is one more day, the last.
        self.place = np.append(place, np.full(self.window.height, len(self.days)))
        self.x = matrices(schema, (reference, self.window))
        self.drawn = days.draw_windows(self.days, window_days, int(settings["draws"]), self._random)

    def marginals(self) -> tuple[Floats, Floats]:
        """Distances of drawn windows [draws x (features + score)], and of the window."""
        rest = ~self.drawn
        columns = [
            self._distances(np.append(*(x[:, i] for x in self.x)), rest, column.kind == "number")
            for i, column in enumerate(self.schema.columns)
        ]
        columns.append(self._score_distances())
        table = np.column_stack(columns)
        return table[:-1], table[-1]

    def _distances(self, values: npt.NDArray[np.float32], bases: days.Mask, ordered: bool) -> Floats:
        """Of the drawn windows, and last of the window from the whole reference."""
        return self._measured(values, self.place, bases, np.ones(len(self.days), dtype=bool), ordered)

    def _measured(
        self, values: npt.NDArray[np.float32], place: npt.NDArray[np.int64], bases: days.Mask, own: Any, ordered: bool
    ) -> Floats:
        counts = days.counts_by_day(values, place, len(self.days) + 1)
        nothing = np.zeros(len(self.days), dtype=bool)
        windows = np.column_stack([np.vstack([self.drawn, nothing]), np.append(np.zeros(len(self.drawn)), 1) > 0])
        against = np.column_stack([np.vstack([bases, own]), np.zeros(len(bases) + 1, dtype=bool)])
        return days.distances(counts, windows, against, ordered=ordered)

    def _score_distances(self) -> Floats:
        """Of scores: the window meets only rows that the model did not learn from; drawn windows as many days of them.

        Where such rows lie on all days (a split by hash) there are enough of them to draw windows from.
        """
        held_out = self.held_out()
        place = self.place[: len(held_out)]
        unseen = np.unique(place[held_out])
        values, bases = np.append(scores(self.reference), scores(self.window)), ~self.drawn
        if held_out.all() or np.isin(unseen, place[~held_out]).sum() * 2 > len(unseen):
            kept = np.append(held_out, np.ones(self.window.height, dtype=bool))
            return self._measured(values[kept], self.place[kept], bases, np.ones(len(self.days), dtype=bool), True)
        own = np.isin(np.arange(len(self.days)), unseen)
        return self._measured(values, self.place, days.base_days(self.drawn, len(unseen), self._random), own, True)

    def held_out(self) -> npt.NDArray[np.bool_]:
        """Which rows of the reference the model did not learn from; all, where none is left of them."""
        held_out = self.reference.get_column("held_out").to_numpy()
        return held_out if held_out.any() else np.ones(len(held_out), dtype=bool)


def day_of(table: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Each row's day (UTC) since 1970, int64 [rows]."""
    return table.get_column("event_time").dt.timestamp("us").to_numpy() // DAY_US
