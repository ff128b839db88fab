"""What is put before the gate: the contenders, the sealed rows, and the doors to the world outside, all passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice import digests
from sluice.errors import GateError
from sluice.export.graph import Graph, Scorer
from sluice.features.schema import FeatureSchema, to_matrix
from sluice.settings import UseCase
from sluice.splits.hashes import row_hashes
from sluice.windows.definition import WindowView

Scores = npt.NDArray[np.float32]


class Openings(Protocol):
    """How often a seal was opened: `sluice.registry.Registry` keeps the count."""

    def openings(self, seal_digest: str) -> int:
        """Openings so far."""
        ...

    def record_opening(self, seal_digest: str, *, version: str | None = None, limit: int | None = None) -> Any:
        """Write one more, before anything is scored; fails where another writer used the last one."""
        ...


@dataclass(frozen=True)
class Contender:
    """A version that is compared: the challenger, the champion, or a rung of the ladder.

    Args:
        digest: of the version; two versions of one digest are the same, byte for byte.
        train_rows: uint64 [n] hashes of the rows it was trained on (`splits.row_hashes`).
        score: rows (without label) to scores, float32 [n] or [n, k].
        size_bytes: of the graph that is served.
        graph_digest: SHA-256 of the graph that `score` runs.
        graph, schema: what is timed row by row; None: `score` itself is.
        threshold: for metrics at a threshold (F1, precision, recall).
    """

    name: str
    digest: str
    train_rows: npt.NDArray[np.uint64]
    score: Callable[[pl.DataFrame], np.ndarray]
    size_bytes: int
    graph_digest: str | None = None
    graph: Scorer | None = None
    schema: FeatureSchema | None = None
    threshold: float | None = None

    @staticmethod
    def from_graph(
        name: str,
        model: bytes,
        schema: FeatureSchema,
        *,
        train_rows: npt.NDArray[np.uint64],
        digest: str | None = None,
        threshold: float | None = None,
    ) -> Contender:
        """The contender that these bytes are: the graph that is served is the graph that is judged."""
        graph = Graph(model)

        def score(rows: pl.DataFrame) -> np.ndarray:
            return graph.score(to_matrix(schema, rows))

        graph_digest = digests.of_bytes(model)
        return Contender(
            name, digest or graph_digest, train_rows, score, len(model), graph_digest, graph, schema, threshold
        )


@dataclass(frozen=True)
class Seal:
    """The sealed rows by name: the digest of the manifest and its hashes, uint64 [n], sorted."""

    digest: str
    hashes: npt.NDArray[np.uint64]

    @staticmethod
    def from_manifest(manifest: Mapping[str, Any], hashes: npt.NDArray[np.uint64]) -> Seal:
        """The seal of a manifest and the hashes stored beside it.

        Raises:
            GateError: the hashes are not those of the manifest.
        """
        ordered = np.sort(hashes.astype("<u8"))
        if digests.of_bytes(ordered.tobytes()) != manifest["digest"]:
            raise GateError("the seal's row hashes are not those that its manifest names", "run the split step again")
        return Seal(str(manifest["digest"]), ordered.astype(np.uint64))

    @staticmethod
    def of_rows(rows: pl.DataFrame) -> Seal:
        """The seal of these rows, for a seal of one's own."""
        hashes = row_hashes(rows.get_column("event_id").to_list())
        return Seal(digests.of_bytes(hashes.astype("<u8").tobytes()), hashes)


@dataclass(frozen=True)
class ServingPath:
    """The way production scores: the graph by digest, and rows of the events table to scores, [n] or [n, k].

    `score` looks the features up by itself, each event with the state of its own time.
    """

    graph_digest: str
    score: Callable[[pl.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Case:
    """Everything that a judgement needs.

    Args:
        ladder: the rungs below the challenger, simplest first.
        champion: None when nothing is live: the ladder decides.
        rows: the sealed labelled rows (rows + `label`, `label_time`), any order.
        events, labels: the raw streams, from which sampled rows' features are recomputed.
        views: the windows of the challenger's feature service; what they see is in `events` and `labels`.
        joined: features of ordinary feature views, which cannot be recomputed from the streams.
        serving: None only where there is no serving path yet: the gate then refuses.
        clock: seconds, for latencies.
        seed: of the resamples and samples.
    """

    use_case: UseCase
    challenger: Contender
    ladder: Sequence[Contender]
    champion: Contender | None
    rows: pl.DataFrame
    seal: Seal
    events: pl.DataFrame
    labels: pl.DataFrame
    views: Sequence[WindowView]
    serving: ServingPath | None
    openings: Openings
    clock: Callable[[], float]
    seed: int
    joined: Sequence[str] = ()
