"""Are scores probabilities? Judged so that chance on a small sealed set is not taken for a fault.

The expected calibration error adds up absolute differences between mean score and share of positives, so chance alone
lifts it, the more the fewer clusters lie in a bin (Bröcker 2012). Its share of chance is taken out as Kumar, Liang and
Ma (2019, "Verified Uncertainty Calibration") do: what normal noise of the bin's own variance adds to the bin's
absolute difference is subtracted. The variance is that of whole clusters, as is the test beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sluice.evaluation.additive import bin_of
from sluice.evaluation.metrics import metric
from sluice.gate.statistics import Measure, coins
from sluice.gate.verdict import Check, Figure
from sluice.settings import UseCase

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error as it is found and without its share of chance.

    `p_value`: of "the scores are calibrated", the chance of an error at least as large.
    """

    found: float
    debiased: float
    p_value: float


def calibration_check(use_case: UseCase, measure: Measure, score: np.ndarray, *, seed: int) -> Check:
    """A binary task's scores are probabilities: small calibration error, and worth more than always the base rate.

    The debiased error must be within `gate.max_calibration_error` unless chance explains it at alpha. Where positives
    are rare that error is the one of the many sure negatives, and hardly sees scores that are far too sure of the few
    others. The logarithmic score does: its skill over the share of positives (1 - log loss / entropy; Gneiting &
    Raftery 2007) is above 0 for every usable probability.
    """
    if measure.task != "binary":
        return Check("calibration", True, f"not asked of a {measure.task} task")
    gate, resamples = use_case.gate, use_case.evaluation.bootstrap.resamples
    error = calibration_error(measure, score, resamples=resamples, seed=seed)
    loss, entropy, skill = _skill(measure, score)
    figures: dict[str, Figure] = {
        "calibration_error": error.found,
        "debiased": error.debiased,
        "p_value": error.p_value,
        "log_loss": loss,
        "log_loss_of_base_rate": entropy,
        "skill": skill,
    }
    limit = gate.max_calibration_error
    text = f"scores are off by {error.debiased:.4f} on average (allowed {limit:g}; with chance {error.found:.4f})"
    off = error.debiased > limit
    shown = off and error.p_value <= gate.alpha
    if off:
        text += f", which chance {'does not explain' if shown else 'explains'} (p = {error.p_value:.4f})"
    if not skill > 0:
        text += f", and as probabilities worth less than the base rate (log loss {loss:.4f} against {entropy:.4f})"
    return Check("calibration", not shown and skill > 0, text, figures, limit)


def calibration_error(measure: Measure, score: np.ndarray, *, resamples: int, seed: int) -> CalibrationError:
    """The calibration error of scores [n] over the equal-width bins of `measure.context`.

    The test gives every cluster's surplus of positives over scores a random sign: if the scores are calibrated, either
    sign was as likely, whatever the dependence of rows within the cluster (wild cluster bootstrap with the hypothesis
    imposed; Cameron, Gelbach & Miller 2008).
    """
    score = np.asarray(score, dtype=np.float64)
    surplus = _surplus(measure, score)
    rows, total = len(score), surplus.sum(0)
    variance = np.maximum((surplus**2).sum(0) - total**2 / len(surplus), 0.0)
    chance = [_folded(abs(m), math.sqrt(v)) - abs(m) for m, v in zip(total.tolist(), variance.tolist(), strict=True)]
    found = float(np.abs(total).sum()) / rows
    random = np.random.default_rng([seed, 2])
    drawn = (
        np.concatenate([np.abs((1 - 2 * c) @ surplus).sum(1) for c in coins(random, len(surplus), resamples)]) / rows
    )
    p_value = float((1 + (drawn >= found).sum()) / (1 + len(drawn)))
    return CalibrationError(found, max(0.0, found - math.fsum(chance) / rows), p_value)


def _surplus(measure: Measure, score: Floats) -> Floats:
    """Positives less the sum of scores, [clusters x bins]."""
    bins, clusters = measure.context.bins, int(measure.cluster.max(initial=-1)) + 1
    cell = measure.cluster * bins + bin_of(score, bins)
    return np.asarray(np.bincount(cell, measure.label - score, clusters * bins).reshape(clusters, bins))


def _folded(mean: float, deviation: float) -> float:
    """Mean of the absolute value of a normal variable whose mean is not negative."""
    if deviation == 0:
        return mean
    z = mean / deviation
    return deviation * math.sqrt(2 / math.pi) * math.exp(-z * z / 2) + mean * math.erf(z / math.sqrt(2))


def _skill(measure: Measure, score: np.ndarray) -> tuple[float, float, float]:
    """Log loss of the scores, that of the base rate, and the skill of the one over the other."""
    base = np.full(len(score), measure.label.mean())
    loss, entropy = (metric("log_loss", "binary", measure.label, s) for s in (score, base))
    return loss, entropy, 1 - loss / entropy if entropy > 0 else float("nan")
