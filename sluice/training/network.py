"""The network for tables: piecewise-linear encoded numbers, embedded categories, residual blocks, many heads in one.

An ensemble in one network after TabM (Gorishniy, Kotelnikov, Babenko 2024, "TabM-mini"): members share all weights
but a scaling of the inputs and the last layer. Numbers are encoded after Gorishniy, Rubachev, Babenko 2022
("On Embeddings for Numerical Features", piecewise-linear encoding on quantiles).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sluice.training.shape import NetworkShape


class TabularNetwork(nn.Module):
    """Logits [members, rows, outputs] of prepared numbers [rows, m] and category codes [rows, c].

    Args:
        lower, inverse: float32 [m, bins], lower edge and 1 / width of each bin; 0 / 0 for bins that do not exist.
    """

    lower: Tensor
    inverse: Tensor
    offsets: Tensor

    def __init__(self, shape: NetworkShape, dropout: float, lower: np.ndarray, inverse: np.ndarray) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("lower", torch.from_numpy(lower))
        self.register_buffer("inverse", torch.from_numpy(inverse))
        starts = np.cumsum((0, *shape.categories))[:-1].astype(np.int64)
        self.register_buffer("offsets", torch.from_numpy(starts))
        self.embedding = nn.Embedding(sum(shape.categories), shape.embedding) if shape.categories else None
        signs = torch.randint(0, 2, (shape.members, 1, shape.inputs)).float() * 2 - 1
        self.adapter = nn.Parameter(signs) if shape.members > 1 else None
        self.first = nn.Linear(shape.inputs, shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, dropout) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width)
        bound = shape.width**-0.5
        self.head = nn.Parameter(torch.empty(shape.members, shape.width, shape.outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(shape.members, 1, shape.outputs))
        self.dropout = nn.Dropout(dropout)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """[members, rows, outputs]."""
        parts = [numbers]
        if self.shape.bins:
            encoded = ((numbers.unsqueeze(2) - self.lower) * self.inverse).clamp(0, 1)
            parts.append(encoded.flatten(1))
        if self.embedding is not None:
            parts.append(self.embedding(codes + self.offsets).flatten(1))
        hidden = torch.cat(parts, dim=1).unsqueeze(0)
        if self.adapter is not None:
            hidden = hidden * self.adapter
        hidden = self.dropout(functional.relu(self.first(hidden)))
        for block in self.blocks:
            hidden = block(hidden)
        logits: Tensor = self.norm(hidden) @ self.head + self.bias
        return logits


class Block(nn.Module):
    """`h + W2 relu(W1 norm(h))`."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """The same shape."""
        inner = self.dropout(functional.relu(self.inner(self.norm(hidden))))
        result: Tensor = hidden + self.outer(inner)
        return result


def quantile_bins(numbers: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Lower edges and inverse widths, float32 [m, bins], of bins that hold about as many train rows each.

    A number with few values has fewer bins; the others are inert.
    """
    lower = np.zeros((numbers.shape[1], bins), dtype=np.float32)
    inverse = np.zeros_like(lower)
    if not bins:
        return lower, inverse
    cuts = np.quantile(numbers, np.linspace(0, 1, bins + 1), axis=0)
    for i, column in enumerate(cuts.T):
        edges = np.unique(column.astype(np.float32))
        widths = np.diff(edges)
        lower[i, : len(widths)] = edges[:-1]
        inverse[i, : len(widths)] = 1 / np.maximum(widths, 1e-6)
    return lower, inverse
