"""Names of the files that go through the door for an explanation; both environments import this."""

from __future__ import annotations

DOCUMENT, BACKGROUND = "explainer.json", "background.parquet"
"""What a version is explained by: settings, schema and limits; train rows as the graph takes them."""
REQUEST, VECTORS, INSTANCES = "request.json", "vectors.parquet", "instances.json"
"""What is asked: the predictor's address; and feature rows, or a V1 body."""
EXPLANATIONS = "explanations.json"
"""What comes back."""
ONLINE, REFERENCE = "drift-server.json", "reference.parquet"
"""What a version's answers are watched by: settings and schema; the rows that it was trained and judged on."""
