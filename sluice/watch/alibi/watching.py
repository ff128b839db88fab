"""A version's answers as they come: into a window that slides, judged again and again, each with an outlier score."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sluice.payloads.bodies import Answer
from sluice.payloads.events import Event
from sluice.payloads.seen import Seen
from sluice.watch.alibi.drift_metrics import DriftMetrics
from sluice.watch.alibi.found import FoundOutliers
from sluice.watch.alibi.online import Online
from sluice.watch.alibi.paired import Pairs, Response
from sluice.watch.alibi.sliding import Row, instant
from sluice.watch.alibi.waiting import Taken, Waiting

logger = logging.getLogger("sluice.drift")
_TICK, _END_SECONDS = 0.25, 5.0
_MOST_VERSIONS = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Named = tuple[str | None, bytes, Row]
"""A row, the id of its event where there is one, and what names it here."""


class Watching:
    """What one process has seen since its start. One thread looks at events, another judges windows.

    Attributes:
        since: the start, before which it knows nothing.
    """

    def __init__(self, online: Online, metrics: DriftMetrics) -> None:
        self._online, self._metrics, self._settings = online, metrics, online.settings
        self.since = datetime.now(UTC)
        self._waiting = Waiting(int(self._settings["queue"]))
        self._pairs = Pairs(int(self._settings["queue"]), float(self._settings["answer_within"]))
        self._events, self._names = (Seen(int(self._settings["remember"])) for _ in range(2))
        self._sample = online.sample()
        self._found = FoundOutliers(online.schema, online.outliers, int(self._settings["keep"]), metrics)
        self._others: Counter[str] = Counter()
        self._new, self._rows, self._judgements, self._last = 0, 0, 0, float("-inf")
        self._latest: dict[str, Any] | None = None
        self._judgement: Future[None] | None = None
        self._judge = ThreadPoolExecutor(1, "judge")
        self._state, self._ends = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether events are looked at."""
        return self._thread.is_alive()

    def put(self, event: Event, answer: Answer | None) -> None:
        """Look at an event some time. When too much waits the oldest goes, and is counted."""
        for _ in range(self._waiting.put(Taken.of(event, answer))):
            self._count("dropped")

    def end(self) -> None:
        """Look at what waits, and end; nobody waits for a judgement."""
        self._ends.set()
        self._waiting.wake()
        self._thread.join(_END_SECONDS)
        self._judge.shutdown(wait=False, cancel_futures=True)

    def document(self) -> dict[str, Any]:
        """What is known of drift."""
        with self._state:
            return {
                "model": self._online.model,
                "version": self._online.version,
                "since": self.since.isoformat(),
                "rows": self._rows,
                "window": self._sample.document(),
                "waiting": self._lacking() if self._latest is None else None,
                "judgements": self._judgements,
                "judged": self._latest,
                "other_versions": dict(self._others),
            }

    def outliers(self) -> dict[str, Any]:
        """What is known of outliers."""
        with self._state:
            return self._found.document()

    def _run(self) -> None:
        while not self._ends.is_set():
            taken = self._waiting.take(_TICK)
            with self._state:
                try:
                    self._look(taken)
                except Exception:
                    # Nothing of a body goes into the log: it may be personal.
                    logger.exception("%d events were not looked at", len(taken))
                    self._metrics.of(self._metrics.failures).inc()

    def _look(self, taken: list[Taken]) -> None:
        now, rows = monotonic(), []
        for each in taken:
            rows += [row for response in self._responses(each, now) for row in self._rows_of(response)]
        rows += [row for response in self._pairs.overdue(now) for row in self._rows_of(response)]
        if rows:
            self._found.look([(name, row) for name, _, row in rows])
            for _, key, row in rows:
                self._sample.add(key, row)
            self._new, self._rows = self._new + len(rows), self._rows + len(rows)
        self._metrics.tell_window(self._sample)
        self._judge_if_due(now)

    def _responses(self, taken: Taken, now: float) -> Iterable[Response]:
        """Responses that are complete now that this event came."""
        event, answer = taken.event, taken.answer
        if event.key in self._events:
            self._count("duplicate")
            return ()
        self._events.add(event.key)
        if answer is None:
            self._count("request")
            return self._pairs.request(event, taken.times)
        if answer.version != self._online.version:
            self._count("other_version")
            if answer.version in self._others or len(self._others) < _MOST_VERSIONS:
                self._others[answer.version] += 1
            return ()
        if not self._online.holds(answer):
            self._count("without_features")
            return ()
        self._count("response")
        return self._pairs.response(event, answer, now)

    def _rows_of(self, response: Response) -> list[Named]:
        """New rows: an event that is asked about again is the same row."""
        event, answer, found = response.event, response.answer, []
        matrix = self._online.matrix(answer)
        top = answer.scores.max(axis=1) if answer.scores.ndim == 2 else answer.scores
        for place, name in enumerate(answer.event_ids):
            key = b"id\0" + name.encode() if name is not None else event.key + place.to_bytes(4, "big")
            if key not in self._names:
                self._names.add(key)
                time_us = (response.time(place, self._online.skew) - _EPOCH) // timedelta(microseconds=1)
                found.append((name, key, Row(time_us, matrix[place], float(top[place]))))
        self._metrics.of(self._metrics.rows, outcome="new").inc(len(found))
        self._metrics.of(self._metrics.rows, outcome="repeated").inc(len(answer) - len(found))
        return found

    def _judge_if_due(self, now: float) -> None:
        running = self._judgement is not None and not self._judgement.done()
        if running or now - self._last < float(self._settings["pause"]) or self._lacking() is not None:
            return
        self._new, self._last = 0, now
        self._judgement = self._judge.submit(self._judged, self._sample.read(), self._sample.document()["end"])

    def _judged(self, rows: list[Row], end: str) -> None:
        with self._metrics.of(self._metrics.judging).time():
            try:
                document = self._online.judged(rows)
            except Exception:
                logger.exception("a window of %d rows was not judged", len(rows))
                self._metrics.of(self._metrics.failures).inc()
                return
        at = datetime.now(UTC)
        with self._state:
            self._latest = {"at": at.isoformat(), "first": instant(rows[0].time_us), "end": end, **document}
            self._judgements += 1
            self._metrics.tell(document, at.timestamp())

    def _lacking(self) -> str | None:
        """Why the window is not judged now, in words."""
        sample, hours = self._sample, 24 * int(self._settings["days"])
        if not sample.full:
            return f"the window is not full: since the start {sample.seen_us / 3.6e9:.1f} h of {hours} h were seen"
        if len(sample) < int(self._settings["min_rows"]):
            return f"the window holds {len(sample)} rows; {self._settings['min_rows']} are tested (watch.min_rows)"
        if self._new < int(self._settings["every"]):
            return f"{self._new} of {self._settings['every']} new rows have come (watch.online.every)"
        return None

    def _count(self, outcome: str) -> None:
        self._metrics.of(self._metrics.events, outcome=outcome).inc()
