"""The gate judged: challengers broken on purpose must be refused, the sound one must not be refused for a fault."""

from sluice.gate.selftest.material import LookUp, Material, MatrixOf, Trained
from sluice.gate.selftest.run import Row, SelfTest, selftest

__all__ = ["LookUp", "Material", "MatrixOf", "Row", "SelfTest", "Trained", "selftest"]
