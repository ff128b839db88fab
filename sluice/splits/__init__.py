"""How labelled rows become train, validation and sealed test, and the names (hashes) of the rows on each side."""

from sluice.splits.hashes import row_hashes
from sluice.splits.seal import seal
from sluice.splits.split import Split, labels_known_at, split_rows

__all__ = ["Split", "labels_known_at", "row_hashes", "seal", "split_rows"]
