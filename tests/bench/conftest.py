"""The benches are scripts: their modules are found beside them."""

from __future__ import annotations

import sys
from pathlib import Path

# Last: some of them are called like packages of the tests.
sys.path.append(str(Path(__file__).parents[2] / "bench"))
