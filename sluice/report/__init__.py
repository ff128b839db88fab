"""What people look at: the report of a gate run, the model card, and tables for the terminal."""

from sluice.report.card import write_card
from sluice.report.evidence import Evidence, evaluations_of
from sluice.report.page import write_report

__all__ = ["Evidence", "evaluations_of", "write_card", "write_report"]
