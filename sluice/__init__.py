"""Sluice: entity events and late labels in; gated, served, watched models out."""

__version__ = "0.1.0"
