"""The metrics that each task has, and which way is better. `sluice.evaluation.metrics` computes them."""

from __future__ import annotations

HIGHER_IS_BETTER: dict[str, dict[str, bool]] = {
    "binary": {
        "average_precision": True,
        "roc_auc": True,
        "card_precision": True,
        "accuracy": True,
        "f1": True,
        "precision": True,
        "recall": True,
        "log_loss": False,
        "brier": False,
        "calibration_error": False,
    },
    "multiclass": {
        "accuracy": True,
        "f1_macro": True,
        "precision_macro": True,
        "recall_macro": True,
        "roc_auc_ovr": True,
        "log_loss": False,
    },
    "regression": {"mae": False, "rmse": False, "r2": True, "pinball": False},
}
