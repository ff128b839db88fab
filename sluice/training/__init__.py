"""Candidates, from a constant to a network: trained on matrices, chosen on validation, written as ONNX graphs."""

from sluice.training.candidates import check_candidates
from sluice.training.train import Trained, train_candidate

__all__ = ["Trained", "check_candidates", "train_candidate"]
