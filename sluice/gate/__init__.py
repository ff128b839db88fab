"""The gate: lineage, one opening of the sealed test, and a verdict whose every check says what it found."""

from sluice.gate.case import Case, Contender, Openings, Seal, ServingPath
from sluice.gate.judge import judge
from sluice.gate.verdict import Check, Verdict

__all__ = ["Case", "Check", "Contender", "Openings", "Seal", "ServingPath", "Verdict", "judge"]
