"""Names of the files that go through the door for an explanation; both environments import this."""

from __future__ import annotations

DOCUMENT, BACKGROUND = "explainer.json", "background.parquet"
"""What a version is explained by: settings, schema and limits; train rows as the graph takes them."""
REQUEST, VECTORS, INSTANCES = "request.json", "vectors.parquet", "instances.json"
"""What is asked: the predictor's address; and feature rows, or a V1 body."""
EXPLANATIONS = "explanations.json"
"""What comes back."""
ONLINE, REFERENCE = "drift-server.json", "reference"
"""What a version's answers are watched by: settings, schema and, under this key, the name of the file of rows that it
was trained and judged on. A new document names a file of its own: it counts as a whole or not at all."""
