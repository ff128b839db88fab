"""How far the demo's weeks were lived."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

DIARY = "played.json"


@dataclass(frozen=True)
class Diary:
    """How far the weeks were lived: it is written when a day is over, and what follows from it done."""

    days: int = 0
    asked: int = 0
    requests: int = 0
    updates: int = 0

    @staticmethod
    def read(place: Path) -> Diary:
        """The diary in a folder; a new one where there is none."""
        path = place / DIARY
        return Diary(**json.loads(path.read_text())) if path.exists() else Diary()

    def write(self, place: Path) -> None:
        """All of it or nothing."""
        half = place / f".{DIARY}.part"
        half.write_text(json.dumps(asdict(self)))
        half.rename(place / DIARY)
