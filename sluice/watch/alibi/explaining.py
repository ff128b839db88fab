"""One row's explanation by the method of the settings, from the folder that `sluice.watch.explanations` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sluice.features.schema import FeatureSchema
from sluice.watch.alibi.anchors import anchors
from sluice.watch.alibi.budget import Budget
from sluice.watch.alibi.files import BACKGROUND, DOCUMENT
from sluice.watch.alibi.predictor import Predictor
from sluice.watch.alibi.shapley import shapley

Floats = npt.NDArray[np.float64]


class Explaining:
    """A version's background and settings.

    Attributes:
        model, version: whose.
        settings: of `explanations`, seconds as a number.
    """

    def __init__(self, folder: Path) -> None:
        document = json.loads((folder / DOCUMENT).read_text())
        self.model, self.version = str(document["model"]), str(document["version"])
        self.settings: dict[str, Any] = document["settings"]
        self._document = document
        self.schema = FeatureSchema.from_document(document["schema"])
        table = pl.read_parquet(folder / BACKGROUND).select(self.schema.names).cast(pl.Float64)
        self._background = table.fill_null(float("nan")).to_numpy()

    def budget(self) -> Budget:
        """A fresh one, as the settings say."""
        return Budget(int(self.settings["calls"]), float(self.settings["seconds"]))

    def predictor(self, address: str, budget: Budget) -> Predictor:
        """A connection to the version's server."""
        document = self._document
        limits = {name: document[name] for name in ("model", "version", "max_batch", "max_body")}
        return Predictor(address, {**limits, "names": self.schema.names, "batch": self.settings["batch"]}, budget)

    def explain(self, predictor: Predictor, row: Floats, score: Any) -> dict[str, Any]:
        """The explanation of a row [features] with this score (of classes: all of theirs).

        The same row has the same explanation: nothing is kept from one to the next.

        Raises:
            BudgetSpentError: it costs more than there is. RequestError: the predictor does not answer.
        """
        scores = np.ravel(np.asarray(score, dtype=np.float64))
        top = int(scores.argmax()) if len(scores) > 1 else None
        found: dict[str, Any] = {"score": float(scores[top or 0])}
        if top is not None:
            found["class"] = self._document["classes"][top]
        method = self._anchors if self.settings["method"] == "anchors" else self._shapley
        return found | method(predictor, row, found["score"], top)

    def _shapley(self, predictor: Predictor, row: Floats, _score: float, top: int | None) -> dict[str, Any]:
        def score(vectors: Floats) -> Floats:
            scores = predictor.score(vectors)
            return scores if top is None else scores[:, top]

        given = self.settings["kernel_shap"]
        return shapley(self.schema.columns, self._background, row, score, given, **self._common())

    def _anchors(self, predictor: Predictor, row: Floats, score: float, top: int | None) -> dict[str, Any]:
        threshold = float(self._document["threshold"])

        def decide(vectors: Floats) -> npt.NDArray[np.int64]:
            scores = predictor.score(vectors)
            return (scores >= threshold).astype(np.int64) if top is None else scores.argmax(axis=1)

        given = self.settings["anchors"]
        found = anchors(self.schema.columns, self._background, row, decide, given, **self._common())
        if top is None:
            found |= {"threshold": threshold, "decision": "alert" if score >= threshold else "no alert"}
        return found

    def _common(self) -> dict[str, Any]:
        return {"reasons": int(self.settings["reasons"]), "seed": int(self._document["seed"])}
