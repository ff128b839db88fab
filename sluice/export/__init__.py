"""ONNX graphs: written by hand so that equal models are equal bytes, scored by ONNX Runtime, checked for parity."""

from sluice.export.graph import Graph

__all__ = ["Graph"]
