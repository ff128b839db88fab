"""What explaining one row takes, ours and plainly, in the environment of alibi; `bench/explainers.py` calls it.

python -m bench.explanations FOLDER REQUEST      # FOLDER: what an explainer of the version reads; JSON comes back
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.watch.alibi.budget import Budget, BudgetSpentError
from sluice.watch.alibi.explainers import AnchorTabular, KernelShap
from sluice.watch.alibi.explaining import Explaining
from sluice.watch.alibi.files import BACKGROUND, DOCUMENT, VECTORS
from sluice.watch.alibi.predictor import Predictor

Floats = npt.NDArray[np.float64]
Explain = Callable[[Predictor, Floats, float], Any]
Start = Callable[[], Budget]
DEFAULT_BACKGROUND = 100
"""Rows that the library takes as background without a warning that they are many."""
NO_BUDGET = 2**31


class Counted(Predictor):
    """A predictor that knows how many vectors it was asked."""

    vectors = 0

    def score(self, vectors: Floats) -> Floats:
        """As the predictor."""
        self.vectors += len(vectors)
        return super().score(vectors)


class Ways:
    """The ways to explain a row: ours with the settings, ours with a vector a call, the library's own defaults."""

    def __init__(self, folder: Path, request: dict[str, Any]) -> None:
        self._explaining, self._request = Explaining(folder), request
        self._document = json.loads((folder / DOCUMENT).read_text())
        self._background = _matrix(folder / BACKGROUND)
        self.rows = _matrix(folder / VECTORS)

    def measure(self) -> list[dict[str, Any]]:
        """A document a method and way."""
        found = []
        for method, plainly in (("kernel_shap", self._kernel_shap), ("anchors", self._anchors)):
            self._explaining.settings["method"] = method
            ours, few = self._explaining.explain, self.rows[: int(self._request["plain_rows"])]
            batch = int(self._explaining.settings["batch"])
            ways: dict[str, tuple[Explain, Floats, int, Start]] = {
                "ours, the settings' budget": (ours, self.rows, batch, self._explaining.budget),
                "ours, a vector a call": (ours, few, 1, self._patient),
                "the library's defaults": (plainly, few, batch, self._patient),
            }
            for name, (explain, rows, each, start) in ways.items():
                self._explaining.settings["batch"] = each
                found.append({"method": method, "way": name, "rows": [self._row(explain, row, start) for row in rows]})
                print(method, name, file=sys.stderr, flush=True)
            self._explaining.settings["batch"] = batch
        return found

    def _patient(self) -> Budget:
        return Budget(NO_BUDGET, float(self._request["patience"]))

    def _row(self, explain: Explain, row: Floats, start: Start) -> dict[str, Any]:
        """One explanation: seconds, processor seconds here and in the predictor, calls, vectors."""
        predictor = self._counted(start())
        score = float(predictor.score(row[None])[0])
        predictor.vectors, predictor.budget = 0, start()
        used, started, finished = self._processor(), time.perf_counter(), True
        try:
            explain(predictor, row, score)
        except BudgetSpentError:
            finished = False
        seconds = time.perf_counter() - started
        figures = {"seconds": seconds, "processor": self._processor() - used, "finished": finished}
        predictor.close()
        return {**figures, "calls": predictor.budget.calls, "vectors": predictor.vectors}

    def _counted(self, budget: Budget) -> Counted:
        limits = {name: self._document[name] for name in ("model", "version", "max_batch", "max_body")}
        names, batch = self._explaining.schema.names, self._explaining.settings["batch"]
        return Counted(self._request["predictor"], {**limits, "names": names, "batch": batch}, budget)

    def _processor(self) -> float:
        fields = Path(f"/proc/{self._request['process']}/stat").read_text().rsplit(")", 1)[1].split()
        return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _kernel_shap(self, predictor: Predictor, row: Floats, _score: float) -> None:
        """What one writes first: background rows, no word about samples."""
        explainer = KernelShap(lambda vectors: predictor.score(np.asarray(vectors))[:, None], task="regression")
        explainer.fit(self._background[:DEFAULT_BACKGROUND])
        explainer.explain(row[None], silent=True)

    def _anchors(self, predictor: Predictor, row: Floats, _score: float) -> None:
        """What one writes first: all train rows that are there, no word about batches, samples or conditions."""
        threshold = float(self._document["threshold"])
        names = list(self._explaining.schema.names)
        explainer = AnchorTabular(lambda vectors: (predictor.score(vectors) >= threshold).astype(int), names)
        explainer.fit(self._background)
        explainer.explain(row)


def _matrix(path: Path) -> Floats:
    """Rows as float64 [n x features], missing numbers 0."""
    return pl.read_parquet(path).cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(Ways(Path(sys.argv[1]), json.loads(sys.argv[2])).measure()))
