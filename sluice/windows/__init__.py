"""Windows over event and label streams: declared once, swept over history, kept as tiles for serving.

Read in this order: `definition` (what a window means), `stream` (what flows through it), `finish` (from sums to
features), `sweep` (history), `state` and `tiles` (serving), `feast_store` (the door).
"""
