"""Batch scoring: the graph that the endpoint serves, over files of raw rows with their point-in-time features.

A row comes out for every row that went in, in the same order; rows that break a rule have no score and a reason. The
rooms in order: `pieces` maps and checks the source a piece at a time, `partitions` spreads rows over files by entity,
`windows` answers one partition after another, `asked` is all of that, `file` puts scores beside the rows. What is in
memory at once is one piece or one partition, however many rows there are: docs/decisions/0018-flat-scoring.md.
"""

from __future__ import annotations

from sluice.scoring.asked import CHUNK, source_features
from sluice.scoring.file import ScoredFile, score_file, score_table

__all__ = ["CHUNK", "ScoredFile", "score_file", "score_table", "source_features"]
