"""What a window means, declared once, and read from a Feast stream feature view.

At time t an aggregation of width w in a view of hop h sees the entries with `tile(e) > tile(t - w)`, where
`tile(x) = floor(x / h)` in UTC, that come not after the question in the order (time, event id) and had arrived
by then: a hopped window is w - h to w long. The event asked about counts whether or not it had arrived. This module
needs the standard library only: the server imports it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from sluice.errors import SettingsError

EXACT = timedelta(microseconds=1)
"""The hop of a window that is not hopped: the resolution of event times."""

LABEL_STREAM_TAG = "stream"
"""Tag of a Feast view: `labels` for windows over the label stream, `events` (or no tag) for the event stream."""

Stream = Literal["events", "labels"]
StatKind = Literal["count", "sum", "squares_high", "squares_low", "min", "max", "last"]

STATS_OF: dict[str, tuple[StatKind, ...]] = {
    "count": ("count",),
    "sum": ("sum",),
    "mean": ("count", "sum"),
    "std": ("count", "sum", "squares_high", "squares_low"),
    "min": ("min",),
    "max": ("max",),
    "time_since_last": ("last",),
}
"""The functions that work, each with the integers that it is finished from."""

ADDITIVE: tuple[StatKind, ...] = ("count", "sum", "squares_high", "squares_low")
"""What can be taken back by an entry of sign -1. The others cannot: no function with them over labels."""


@dataclass(frozen=True)
class Aggregation:
    """One feature: `function` over `column`'s values that are not null, `window_us` microseconds wide."""

    name: str
    column: str
    function: str
    window_us: int


@dataclass(frozen=True)
class Stat:
    """One integer kept per tile: a kind of sum or extreme over one column."""

    kind: StatKind
    column: str


@dataclass(frozen=True)
class WindowView:
    """Aggregations over one stream by one entity, all of hop `hop_us` microseconds.

    Raises:
        SettingsError: unknown function, a width that is no multiple of the hop, two features of one name, or a
            function over the label stream that a correction could not be taken out of; all of them at once.
    """

    name: str
    entity: str
    stream: Stream
    hop_us: int
    aggregations: tuple[Aggregation, ...]

    def __post_init__(self) -> None:
        problems = _problems(self.stream, self.hop_us, self.aggregations)
        if problems:
            raise SettingsError(f"windows of {self.name}", problems)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Plans are looked up by view at every scored event.
        return hash((self.name, self.entity, self.stream, self.hop_us, self.aggregations))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The value columns, each once, in the order of the aggregations."""
        return tuple(dict.fromkeys(a.column for a in self.aggregations))

    @cached_property
    def numeric_columns(self) -> frozenset[str]:
        """Columns whose values matter, not only whether they are there."""
        return frozenset(a.column for a in self.aggregations if a.function not in ("count", "time_since_last"))

    @cached_property
    def squared_columns(self) -> frozenset[str]:
        """Columns whose squares are summed."""
        return frozenset(a.column for a in self.aggregations if a.function == "std")

    @cached_property
    def stats(self) -> tuple[Stat, ...]:
        """The integers kept per tile: additive ones first, then minima, then maxima and last times."""
        needed = {(kind, a.column) for a in self.aggregations for kind in STATS_OF[a.function]}
        kinds = (*ADDITIVE, "min", "max", "last")
        return tuple(Stat(kind, column) for kind in kinds for column in self.columns if (kind, column) in needed)

    @cached_property
    def additive(self) -> int:
        """How many of `stats` are sums; they come first."""
        return sum(stat.kind in ADDITIVE for stat in self.stats)

    @cached_property
    def minima(self) -> int:
        """How many of `stats` are minima; they come after the sums."""
        return sum(stat.kind == "min" for stat in self.stats)

    @cached_property
    def lasts(self) -> int:
        """How many of `stats` are last times; they come at the end."""
        return sum(stat.kind == "last" for stat in self.stats)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The distinct window widths in microseconds, ascending."""
        return tuple(sorted({a.window_us for a in self.aggregations}))

    def tile(self, time_us: int) -> int:
        """Index of the tile that holds an instant (microseconds since 1970, UTC)."""
        return time_us // self.hop_us

    def start(self, time_us: int, window_us: int) -> int:
        """First instant that a window asked about at `time_us` sees, in microseconds."""
        return ((time_us - window_us) // self.hop_us + 1) * self.hop_us


def view_from_feast(view: Any, columns: Collection[str] | None = None) -> WindowView:
    """The windows that a Feast `StreamFeatureView` declares.

    Args:
        view: the stream feature view, as written or as read back from the registry.
        columns: the columns that the stream has, where they are known; an aggregation of another is refused.

    Raises:
        SettingsError: no or several entities, no aggregation, or any aggregation that cannot be computed; all
            mistakes at once. A slide interval as long as the window is refused: Feast silently fills a missing
            one in with the whole window, and the two cannot be told apart.
    """
    problems: list[str] = []
    # Join keys are inferred when the view is applied; until then there are only the names of the entities.
    keys = list(view.join_keys) or list(view.entities)
    if len(keys) != 1:
        problems.append(f"entities: a window is kept per one entity, this view has {len(keys)}: {', '.join(keys)}")
    stream = dict(view.tags).get(LABEL_STREAM_TAG, "events")
    if stream not in ("events", "labels"):
        problems.append(f"tags.{LABEL_STREAM_TAG}: expected events or labels, got {stream!r}")
    hops = {a.slide_interval for a in view.aggregations if a.slide_interval}
    if len(hops) > 1:
        shown = ", ".join(str(hop) for hop in sorted(hops))
        problems.append(f"aggregations: one view has one hop (slide_interval), this one has {shown}; make two views")
    read = tuple(_aggregation(a, columns, problems) for a in view.aggregations)
    kind: Stream = "labels" if stream == "labels" else "events"
    # With several hops there is no hop to check the widths against: every width is a multiple of 1 us.
    hop_us = min(hops) // EXACT if len(hops) == 1 else 1
    problems += _problems(kind, hop_us, read)
    if problems:
        raise SettingsError(f"feature view {view.name}", problems)
    return WindowView(view.name, keys[0], kind, hop_us, read)


def _aggregation(declared: Any, columns: Collection[str] | None, problems: list[str]) -> Aggregation:
    name = declared.resolved_name(declared.time_window)
    if declared.time_window and declared.slide_interval in (None, declared.time_window):
        problems.append(f"{name}: no slide_interval of its own; name the hop, {EXACT!r} for an exact window")
    if columns is not None and declared.column not in columns:
        problems.append(f"{name}: the stream has no column {declared.column!r}; it has {', '.join(sorted(columns))}")
    width = declared.time_window // EXACT if declared.time_window else 0
    return Aggregation(name, declared.column, declared.function, width)


def _problems(stream: Stream, hop_us: int, aggregations: tuple[Aggregation, ...]) -> list[str]:
    problems = [] if aggregations else ["aggregations: none"]
    if hop_us < 1:
        problems.append(f"hop: at least one microsecond, got {hop_us}")
    names = [a.name for a in aggregations]
    problems += [
        f"{name}: two aggregations have this name" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    for a in aggregations:
        stats = STATS_OF.get(a.function)
        if stats is None:
            problems.append(f"{a.name}: unknown function {a.function!r}; these work: {', '.join(STATS_OF)}")
        elif stream == "labels" and not set(stats) <= set(ADDITIVE):
            problems.append(f"{a.name}: {a.function} over the label stream: a corrected label could not be taken out")
        if a.window_us <= 0:
            problems.append(f"{a.name}: no time_window")
        elif hop_us > 0 and a.window_us % hop_us:
            problems.append(f"{a.name}: a window of {a.window_us} us is no multiple of the hop, {hop_us} us")
    return problems
