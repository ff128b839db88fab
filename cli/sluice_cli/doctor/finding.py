"""One thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Literal

from sluice.errors import SluiceError

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do. `missing` keeps Sluice from working, `warning` does not."""

    what: str
    state: State
    found: str
    advice: str = ""


@dataclass
class Findings:
    """Findings in the order in which they were made."""

    made: list[Finding] = field(default_factory=list)

    def ok(self, what: str, found: str) -> None:
        """It is as it should be."""
        self.made.append(Finding(what, "ok", found))

    def warn(self, what: str, found: str, advice: str) -> None:
        """It works without, or could not be looked at."""
        self.made.append(Finding(what, "warning", found, advice))

    def miss(self, what: str, found: str, advice: str) -> None:
        """Sluice does not work like this."""
        self.made.append(Finding(what, "missing", found, advice))

    @contextmanager
    def told(self, what: str) -> Iterator[None]:
        """An error of the block is a finding: it is missing."""
        try:
            yield
        except SluiceError as error:
            self.miss(what, error.message, error.hint)

    @property
    def missing(self) -> int:
        """How many things keep Sluice from working."""
        return sum(finding.state == "missing" for finding in self.made)

    def document(self) -> list[dict[str, str]]:
        """For `--json`."""
        return [asdict(finding) for finding in self.made]
