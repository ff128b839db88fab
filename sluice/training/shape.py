"""The sizes of a network, known before any of it exists."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.training.parameters import NetworkParams


@dataclass(frozen=True)
class NetworkShape:
    """The sizes that decide a network's memory.

    Attributes:
        numbers: prepared numbers a row.
        bins: bins of each number's encoding, 0 for none.
        categories: number of codes of each category.
        outputs: logits a row and member.
    """

    numbers: int
    bins: int
    categories: tuple[int, ...]
    embedding: int
    width: int
    blocks: int
    members: int
    outputs: int

    @staticmethod
    def of(params: NetworkParams, numbers: int, categories: tuple[int, ...], outputs: int) -> NetworkShape:
        """The shape that the settings give for a table."""
        sizes = (params.embedding, params.width, params.blocks, params.members)
        return NetworkShape(numbers, params.bins, categories, *sizes, outputs)

    @property
    def inputs(self) -> int:
        """Columns of the first layer."""
        return self.numbers * (1 + self.bins) + len(self.categories) * self.embedding

    @property
    def parameters(self) -> int:
        """Trained values."""
        adapter = self.members * self.inputs if self.members > 1 else 0
        first = (self.inputs + 1) * self.width
        block = 2 * self.width + 2 * (self.width + 1) * self.width
        heads = self.members * (self.width + 1) * self.outputs
        return sum(self.categories) * self.embedding + adapter + first + self.blocks * block + 2 * self.width + heads
