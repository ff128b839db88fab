"""Windows as the monitor records them, and what the exporter tells about one that has everything in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric

from sluice.registry.decision import Decision
from sluice_serving.exporter.metrics import MonitorCollector
from sluice_serving.exporter.reading import Reader, Seen

WEEK = timedelta(days=7)
END = datetime(2026, 3, 5, tzinfo=UTC)


def window(
    version: str,
    end: datetime,
    *,
    verdict: str = "quiet",
    violated: Iterable[str] = (),
    broken: Iterable[str] = (),
    distance: float = 0.05,
) -> dict[str, Any]:
    """A window's document (`sluice.watch.monitor`), of one feature."""
    part = {"distance": distance, "usual": 0.1, "moved": distance > 0.1}
    interval = {"estimate": 0.6, "low": 0.55, "high": 0.65, "error": 0.02}
    day = (end - WEEK).date().isoformat()
    return {
        "model": "fraud",
        "version": version,
        "start": (end - WEEK).isoformat(),
        "end": end.isoformat(),
        "at": end.isoformat(),
        "answers": 1000,
        "tested": 990,
        "verdict": verdict,
        "violated": sorted(violated),
        "faults": [{"feature": name, "fault": "30% are missing"} for name in broken],
        "drift": {
            "verdict": verdict,
            "features": [part | {"feature": "amount"}],
            "score": part | {"feature": "score"},
            "classifier": part,
        },
        "performance": {
            "verdict": "fallen" if "performance" in violated else "kept",
            "metric": "average_precision",
            "first": day,
            "through": day,
            "rows": 500,
            "measured": interval,
            "promised": interval,
            "drop": {"estimate": 0.0, "low": -0.05, "high": 0.05},
        },
        "days": [],
        "estimate_error": {"days": 0, "mean": None, "mean_absolute": None},
        "promise": {"decision": 1, "rows": 1000},
    }


def families() -> list[Metric]:
    """Every family of the exporter's: of a window with a broken column, and a training run that is under way."""
    run = Decision("fraud", 2, "retraining", "v", 1, "", "monitor", "", END, {}, {"run": "r"}, "")
    recorded = window("v", END, verdict="data-fault", broken=["amount"])
    seen = Seen("fraud", "v", (run,), recorded, END + WEEK, run, run)
    reader = cast(Reader, SimpleNamespace(seen=seen, at=0.0, works=True))
    return list(MonitorCollector("fraud", reader).collect())
