"""What the drift server of a version needs, and the server as a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from sluice import digests
from sluice.errors import SettingsError
from sluice.registry.servable import Servable
from sluice.settings.payloads import Payloads
from sluice.settings.watch import Watch
from sluice.watch import door
from sluice.watch.alibi.files import ONLINE, REFERENCE

_DAY = timedelta(days=1)


def write_drift_server(
    servable: Servable, reference: pl.DataFrame, watch: Watch, payloads: Payloads, folder: Path
) -> Path:
    """Write what the other environment needs to watch a version's answers.

    Args:
        reference: what `sluice.watch.reference` keeps beside the version.
        payloads: how events are taken.
        folder: is made; holds two files afterwards. A server that runs on them ends when they are another version's.

    Raises:
        SettingsError: the window is not whole days.
    """
    if watch.online.window < _DAY or watch.online.window % _DAY:
        raise SettingsError("watch.online", ["watch.online.window: a window is one or more whole days"])
    folder.mkdir(parents=True, exist_ok=True)
    names = list(servable.schema.names)
    table = folder / f"{REFERENCE}-{servable.digest[:12]}.parquet"
    reference.select("event_time", "held_out", *names, "score").write_parquet(table)
    half = folder / f".{ONLINE}.part"
    half.write_bytes(digests.canonical_json(_document(servable, watch, payloads) | {REFERENCE: table.name}))
    half.replace(folder / ONLINE)
    for old in set(folder.glob(f"{REFERENCE}-*.parquet")) - {table}:
        old.unlink()
    return folder


@contextmanager
def running_drift_server(folder: Path, callers: Path, *, port: int = 0, python: Path | None = None) -> Iterator[str]:
    """The address of a drift server of its own process while the block lasts; it is killed when this process ends.

    Args:
        folder: what `write_drift_server` wrote.
        callers: the file of who may send events (`sluice payloads admit`).

    Raises:
        WatchError: it does not start; its own words are on standard error.
    """
    options = ["--callers", str(callers), "--port", str(port)]
    with door.server("sluice.watch.alibi.drift_server", folder, options, python=python) as address:
        yield address


def _document(servable: Servable, watch: Watch, payloads: Payloads) -> dict[str, Any]:
    online = watch.online
    return {
        "format": 1,
        "model": servable.model,
        "version": servable.digest,
        "schema": servable.schema.document(),
        "seed": servable.use_case.seed,
        "watch": watch.model_dump(mode="json"),
        "settings": {
            "days": online.window // _DAY,
            "rows": online.rows,
            "every": online.every,
            "pause": online.pause.total_seconds(),
            "queue": online.queue,
            "keep": online.outliers.keep,
            "min_rows": watch.min_rows,
            "max_event": payloads.max_event,
            "remember": payloads.remember,
            "answer_within": payloads.answer_within.total_seconds(),
            "clock_skew": payloads.clock_skew.total_seconds(),
        },
    }
