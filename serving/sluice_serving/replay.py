"""Send a stretch of events to an endpoint in their order, update state as they arrive, compare with history.

What the endpoint used as features has to equal the offline rows bit for bit, its scores within 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import polars as pl

from sluice.export.graph import Scorer
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.settings.use_case import UseCase
from sluice.steps import Progress, silent
from sluice_serving.client import Client
from sluice_serving.lagging import APPLIED
from sluice_serving.updates import Updater, Updates

TOLERANCE = 1e-6
_DIFFERENCES = 10
_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"
_FLAGS = ("unknown", "stale", "ahead", "repeated")

Keys = list[tuple[str, str]]


@dataclass
class Replayed:
    """What a replay found. Shares are of all requests; times are the client's, in milliseconds."""

    requests: int
    features_equal: float
    scores_equal: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    requests_per_second: float
    seconds: float
    flags: dict[str, int]
    differences: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The JSON form."""
        return {"format": 1, **asdict(self)}


def replay(
    use_case: UseCase,
    endpoint: str,
    events: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    rows: pl.DataFrame,
    online: Updater | Sequence[Updater],
    schema: FeatureSchema,
    graph: Scorer,
    batch: int = 64,
    seed: int = 0,
    seconds: Callable[[], float] = perf_counter,
    progress: Progress = silent,
) -> Replayed:
    """Ask about each event when it arrives; apply it then too, or when its column `applied` says.

    Args:
        endpoint: http://host:port of the server.
        events: the events to ask about, sorted by (event_time, event_id).
        labels: label events that arrive meanwhile (label stream), among them those of earlier events.
        rows: the offline feature rows of the same events in the same order, each as of its arrival.
        online: the state that the endpoint reads. One updater applies in order; several apply shuffled and at once.
        batch: updates that go together at most while nobody asks about their entities.
        graph: scores the offline rows.

    Raises:
        RequestError: the endpoint refuses a request or does not answer.
    """
    updaters = list(online) if isinstance(online, Sequence) else [online]
    updates = Updates(updaters, events, labels, batch=batch, seed=seed)
    client = Client(endpoint, use_case.name)
    answers = _Answers(events.height, len(schema.columns))
    started = seconds()
    try:
        bodies = request_bodies(use_case, events)
        for step in steps_of(use_case, events, labels):
            if not step.asks:
                updates.add(step.is_label, step.row, step.keys)
                continue
            updates.settle(step.keys)
            sent = seconds()
            answer = client.predict(bodies[step.row])
            answers.note(step.row, answer["predictions"][0], seconds() - sent)
            progress("replay", step.row + 1, events.height)
    finally:
        updates.close()
        client.close()
    return answers.compared(events, schema, to_matrix(schema, rows), graph, seconds() - started)


class _Answers:
    """What the endpoint said, row by row of the events."""

    def __init__(self, count: int, width: int) -> None:
        self._features = np.full((count, width), np.nan, dtype=np.float32)
        self._scores: list[Any] = [None] * count
        self._took = np.zeros(count)
        self._flags = dict.fromkeys(_FLAGS, 0)

    def note(self, row: int, prediction: dict[str, Any], took: float) -> None:
        """One answer, and how many seconds it took."""
        self._features[row] = [np.nan if value is None else value for value in prediction["features"]]
        self._scores[row] = prediction["score"]
        self._took[row] = took
        for flag in _FLAGS:
            self._flags[flag] += bool(prediction[flag])

    def compared(
        self, events: pl.DataFrame, schema: FeatureSchema, expected: np.ndarray, graph: Scorer, seconds: float
    ) -> Replayed:
        """All of it against the offline matrix."""
        same = equal_bits(self._features, expected)
        near = np.abs(np.array(self._scores, dtype=np.float64) - graph.score(expected)) <= TOLERANCE
        differences = [
            {
                "event_id": events.get_column("event_id")[int(row)],
                "feature": schema.names[column],
                "endpoint": str(self._features[row, column]),
                "offline": str(expected[row, column]),
            }
            for row, column in np.argwhere(~same)[:_DIFFERENCES]
        ]
        return Replayed(
            requests=events.height,
            features_equal=float(same.all(axis=1).mean()),
            scores_equal=float(near.reshape(len(near), -1).all(axis=1).mean()),
            **_speed(self._took),
            seconds=round(seconds, 3),
            flags=self._flags,
            differences=differences,
        )


def equal_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """bool: where two float32 arrays hold the same bits; missing equals missing."""
    same: np.ndarray = (a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))
    return same


@dataclass(frozen=True)
class Step:
    """One thing that happens: a question about a row of the events, or an update by a row of events or labels."""

    row: int
    keys: Keys
    is_label: bool = False
    asks: bool = False


def steps_of(use_case: UseCase, events: pl.DataFrame, labels: pl.DataFrame) -> Iterator[Step]:
    """Everything in order: at one instant labels first, then events by their id, each asked before it is applied."""
    entities = list(use_case.data.columns.entities)
    event_keys, label_keys = keys_of(events, entities), keys_of(labels, entities)
    applied = APPLIED if APPLIED in events.columns else "arrival"
    when = [events.get_column(name).cast(pl.Int64).to_list() for name in ("event_time", "arrival", applied)]
    ids = events.get_column("event_id").to_list()
    order: list[tuple[int, int, int, str, int, int]] = []
    for row, (time, arrival, known, name) in enumerate(zip(*when, ids, strict=True)):
        order += [(arrival, 1, time, name, 0, row), (known, 1, time, name, 1, row)]
    label_times = labels.get_column("label_time").cast(pl.Int64).to_list()
    order += [(time, 0, time, "", 1, row) for row, time in enumerate(label_times)]
    for _, kind, _, _, is_update, row in sorted(order):
        if kind == 0:
            yield Step(row, label_keys[row], is_label=True)
        else:
            yield Step(row, event_keys[row], asks=not is_update)


def keys_of(table: pl.DataFrame, entities: list[str]) -> list[Keys]:
    """Each row's entities by name; one that is null is left out."""
    columns = [[(name, key) for key in table.get_column(name).to_list()] for name in entities]
    if not columns:
        return [[] for _ in range(table.height)]
    return [[(name, key) for name, key in keys if key is not None] for keys in zip(*columns, strict=True)]


def request_bodies(use_case: UseCase, events: pl.DataFrame) -> list[bytes]:
    """V1 bodies of one row each."""
    return [orjson.dumps({"instances": [row]}) for row in instances_of(use_case, events)]


def instances_of(use_case: UseCase, events: pl.DataFrame) -> list[dict[str, Any]]:
    """The events as V1 instances: amounts in natural units, instants as RFC 3339."""
    columns = use_case.data.columns
    table = events.select(
        "event_id",
        *([] if columns.event_time is None else [pl.col("event_time").dt.strftime(_INSTANT)]),
        *columns.entities,
        *(pl.col(name) * v.unit if v.unit is not None else pl.col(name) for name, v in columns.values.items()),
    )
    return table.to_dicts()


def _speed(took: np.ndarray) -> dict[str, float]:
    p50, p95, p99 = np.percentile(took * 1e3, [50, 95, 99]) if len(took) else (0.0, 0.0, 0.0)
    rate = len(took) / took.sum() if took.sum() else 0.0
    return {
        "p50_ms": round(float(p50), 3),
        "p95_ms": round(float(p95), 3),
        "p99_ms": round(float(p99), 3),
        "requests_per_second": round(float(rate), 1),
    }
