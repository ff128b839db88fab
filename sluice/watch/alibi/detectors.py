"""alibi-detect's detectors, rebuilt from rows of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from alibi_detect.cd import TabularDrift
from alibi_detect.cd.sklearn.classifier import ClassifierDriftSklearn
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier

from sluice.watch.alibi.columns import Matrix


def feature_tests(reference: Matrix, window: Matrix, categories: Mapping[int, int], rate: float) -> dict[str, Any]:
    """Kolmogorov-Smirnov or chi-squared a feature, as if all rows were independent.

    Returns:
        `p_values` and `statistics` by feature, and the `threshold` that Benjamini and Hochberg's correction gives a
        p-value at this false discovery rate.
    """
    detector = TabularDrift(
        reference,
        p_val=rate,
        correction="fdr",
        # Codes that occur in neither table would stop the chi-squared test; the library adds those of the window.
        categories_per_feature={i: np.unique(reference[:, i]).tolist() for i in categories},
    )
    found = detector.predict(window, return_p_val=True, return_distance=True)["data"]
    return {
        "p_values": [float(value) for value in found["p_val"]],
        "statistics": [float(value) for value in found["distance"]],
        # Where nothing is below its own, all thresholds come back.
        "threshold": float(np.min(found["threshold"])),
    }


class _ByDistance(ClassifierDriftSklearn):  # type: ignore[misc]
    """Without the exact p-value, which takes longer than the training does and is read by nobody."""

    def test_probs(
        self,
        y_oof: npt.NDArray[np.int64],
        probs_oof: npt.NDArray[np.float64],
        n_ref: int,  # noqa: ARG002  (the library's signature)
        n_cur: int,  # noqa: ARG002
    ) -> tuple[float, float]:
        """An approximate p-value, and how far the probabilities of the window's rows lie above the reference's."""
        window, reference = probs_oof[y_oof == 1, 1], probs_oof[y_oof == 0, 1]
        found = ks_2samp(reference, window, alternative="greater", method="asymp")
        return float(found.pvalue), float(found.statistic)


class TwoSamples:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017): how well can trees tell two samples apart?"""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self._rows, self._seed = int(settings["rows"]), seed
        self._model = HistGradientBoostingClassifier(
            max_iter=int(settings["rounds"]),
            max_leaf_nodes=int(settings["leaves"]),
            early_stopping=False,
            random_state=seed,
        )

    def distance(self, base: Matrix, window: Matrix) -> float:
        """Kolmogorov-Smirnov distance of what the trees say of unseen rows of both: 0 is alike, 1 is told apart."""
        random = np.random.default_rng(self._seed)
        count = min(self._rows, len(base), len(window))
        samples = [rows[random.choice(len(rows), count, replace=False)] for rows in (base, window)]
        # The library splits into train and test rows by numpy's global state.
        np.random.seed(self._seed)
        detector = _ByDistance(samples[0], self._model, preds_type="probs", train_size=0.5, seed=self._seed)
        return float(detector.predict(samples[1], return_p_val=False, return_distance=True)["data"]["distance"])
