"""What may name a model or a version, in a path and in a key of the store."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""A model's name, as the settings allow it."""
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What may stand for a version in a key: a digest, or another server's label."""
