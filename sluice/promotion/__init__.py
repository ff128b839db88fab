"""From a challenger's folder to a decision in the log: the case before the gate, the verdict, what is registered."""

from sluice.promotion.flow import Gated, gate_challenger

__all__ = ["Gated", "gate_challenger"]
