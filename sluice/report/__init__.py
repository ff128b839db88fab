"""What people look at: the report of a gate run, the model card, and tables for the terminal."""

from sluice.report.evidence import Evidence, evaluations_of

__all__ = ["Evidence", "evaluations_of"]
