"""Features at serving: tile states looked up through Feast, answered at the request's instant, and the matrix.

Scoring never writes; `apply` is the updater's. The request's own event is added where state does not hold it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from sluice.errors import FeatureError, RequestError
from sluice.features.joined import known_values, look_up_joined, text_names
from sluice.features.lookup import Answers, Requests, look_up
from sluice.features.opened import Opened
from sluice.features.reading import Reader, watermarks
from sluice.features.repository import read_repository, service_of
from sluice.features.request import EVENT_TIME, request_features
from sluice.features.schema import FeatureColumn, FeatureSchema, encode_columns
from sluice.features.updater import Materialised
from sluice.settings import UseCase
from sluice.steps import Progress, silent
from sluice.windows.definition import EXACT


@dataclass(frozen=True)
class Composed:
    """The answer to `Requests`, n rows.

    matrix: float32 [n x features], what the graph takes. features: its columns' names.
    columns: the same before the cast, by name: float64 [n], or strings for categories.
    unknown: for each row the entities that state knows nothing of.
    stale: for each row the streams that the updater has not applied for longer than `serving.stale_after`.
    ahead: bool [n], state holds entries later than the request. repeated: bool [n], state held the event already.
    """

    matrix: np.ndarray
    features: list[str]
    columns: dict[str, np.ndarray]
    unknown: list[tuple[str, ...]]
    stale: list[tuple[str, ...]]
    ahead: np.ndarray
    repeated: np.ndarray


class OnlineFeatures:
    """The features of one use case at serving. Any number of threads and processes compose, one at a time updates."""

    def __init__(self, use_case: UseCase, schema: FeatureSchema | None, online: Opened | None) -> None:
        self._use_case, self._opened = use_case, online
        self._request = use_case.features.request
        self._stale_after_us = use_case.serving.stale_after // EXACT
        self._categories = {n for n, v in use_case.data.columns.values.items() if v.type == "category"}
        self.names = [*(online.service.names if online else ()), *(f.name for f in self._request)]
        self.schema = schema or self._all_features()

    @staticmethod
    def open(
        use_case: UseCase, folder: Path, schema: FeatureSchema | None = None, *, root: Path | None = None
    ) -> OnlineFeatures:
        """Open the state in `folder` (and, by settings, in Redis); an empty one where there is none yet.

        Args:
            schema: a version's columns; default: all features, categories without a vocabulary.
            root: folder that `features.repo` is relative to; default: the working directory.

        Raises:
            SettingsError: the feature service cannot be used.
            FeatureError: the repository lacks the online views, the schema asks for other features, or the store
                does not answer.
        """
        features = use_case.features
        opened = None
        if features.repo is not None and features.service is not None:
            repository = read_repository(Path(root or "") / features.repo)
            opened = Opened.at(use_case, repository, service_of(repository, features.service), folder)
        online = OnlineFeatures(use_case, schema, opened)
        strangers = [name for name in online.schema.names if name not in online.names]
        if strangers:
            raise FeatureError(
                f"the version wants {', '.join(strangers)}, which the feature service does not give",
                "serve it with the repository that it was trained with",
            )
        return online

    def materialise(self, events: pl.DataFrame, labels: pl.DataFrame, progress: Progress = silent) -> Materialised:
        """History to state: all keys. Keys whose state is newer are left alone."""
        if self._opened is None:
            return Materialised(0, 0)
        outcome = self._opened.updater.materialise(events, labels, progress)
        reached = self.watermarks().values()
        joined = self.refresh(max(reached)) if reached else 0
        return Materialised(outcome.written + joined, outcome.kept)

    def refresh(self, until_us: int) -> int:
        """Bring ordinary feature views up to an instant (µs since 1970). Returns how many keys were written."""
        if self._opened is None:
            return 0
        return sum(
            self._opened.updater.refresh(part.view, known_values(self._opened.repository, part, until_us), until_us)
            for part in self._opened.service.joined
        )

    def apply(
        self, events: pl.DataFrame | None = None, labels: pl.DataFrame | None = None, *, until_us: int | None = None
    ) -> None:
        """Apply new events and labels; `until_us`: both streams are complete up to there, even where nothing came."""
        if self._opened:
            self._opened.updater.apply(events, labels, until_us=until_us)

    def compose(self, requests: Requests) -> Composed:
        """The features of requests, as state holds them now.

        Raises:
            RequestError: an entity or a value is missing, or cannot be used.
            FeatureError: the store does not answer.
        """
        count = len(requests.event_time_us)
        never = np.zeros(count, dtype=np.bool_)
        answers = Answers({}, never, never)
        stale: list[tuple[str, ...]] = [()] * count
        if self._opened:
            rows = self._opened.rows(requests.entities)
            answers = look_up(rows, self._opened.parts, requests)
            answers.columns |= look_up_joined(rows, self._opened.service.joined, requests.entities)
            stale = self._stale(requests, rows)
        columns = answers.columns | self._values(requests) | {EVENT_TIME: requests.event_time_us}
        columns |= request_features(self._request, columns)
        matrix = encode_columns(self.schema, columns, count)
        kept = {name: columns[name] for name in self.names}
        unknown = _unknown(answers, count)
        return Composed(matrix, list(self.schema.names), kept, unknown, stale, answers.ahead, answers.repeated)

    def watermarks(self) -> dict[str, int]:
        """Up to which instant (µs since 1970) each stream was applied; a stream never applied is not there."""
        if self._opened is None:
            return {}
        return self._reached(self._opened.store)

    def _reached(self, reader: Reader) -> dict[str, int]:
        assert self._opened is not None
        found = watermarks(reader, self._opened.streams, self._opened.stream_names)
        return {stream: time for stream, (time, _) in found.items()}

    def _all_features(self) -> FeatureSchema:
        texts = {f.name for f in self._request if f.kind == "value" and f.column in self._categories}
        if self._opened:
            texts |= text_names(self._opened.service.joined)
        fills = self._use_case.features.fills
        return FeatureSchema(
            tuple(FeatureColumn(n, "category" if n in texts else "number", fills.get(n)) for n in self.names)
        )

    def _stale(self, requests: Requests, rows: Reader) -> list[tuple[str, ...]]:
        assert self._opened is not None
        reached, names = self._reached(rows), self._opened.stream_names
        asked = requests.event_time_us if requests.arrival_us is None else requests.arrival_us
        behind = [t - self._stale_after_us for t in asked.tolist()]
        return [tuple(n for n in names if n not in reached or reached[n] < least) for least in behind]

    def _values(self, requests: Requests) -> dict[str, np.ndarray]:
        made = {}
        for name, given in requests.values.items():
            if name in self._categories:
                made[name] = np.array(given, dtype=object)
                continue
            try:
                made[name] = np.array([np.nan if v is None else v for v in given], dtype=np.float64)
            except (TypeError, ValueError):
                raise RequestError(f"{name}: expected numbers") from None
        missing = [f.column for f in self._request if f.kind == "value" and f.column not in made]
        if missing:
            raise RequestError(f"{', '.join(missing)}: missing")
        return made


def _unknown(answers: Answers, count: int) -> list[tuple[str, ...]]:
    if all(known.all() for known in answers.known.values()):
        return [()] * count
    return [tuple(entity for entity, known in answers.known.items() if not known[i]) for i in range(count)]
