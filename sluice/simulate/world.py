"""What a simulated world is made of, and how it may change from a day on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal


@dataclass(frozen=True)
class FraudPattern:
    """From `day` on a pattern that no model has seen: stolen cards shop at night, anywhere on the plane.

    Each day `rate` of the cards is stolen for `lasts` days; `share` of its transactions move to 2-5 o'clock,
    to any terminal, and are fraud (scenario 4). The number of rows does not change.
    """

    day: int
    rate: float = 0.001
    lasts: int = 7
    share: float = 0.5


@dataclass(frozen=True)
class PriceRise:
    """From `day` on all amounts are `factor` times what they were; what is fraud stays as it was."""

    day: int
    factor: float = 1.4


@dataclass(frozen=True)
class BrokenColumn:
    """From `day` on (until `until`) the sender's amount is wrong: not there, in cents, or one value for all."""

    day: int
    mode: Literal["null", "cents", "stuck"] = "cents"
    until: int | None = None


Change = FraudPattern | PriceRise | BrokenColumn


@dataclass(frozen=True)
class World:
    """Cards that pay at terminals near them; the defaults are the Fraud Detection Handbook's world.

    Rates are shares a day, so that a small world has the same share of fraud as a large one.
    """

    start: datetime = datetime(2018, 4, 1, tzinfo=UTC)
    days: int = 183
    cards: int = 5000
    terminals: int = 10000
    radius: float = 5.0
    """How far a card goes to pay; the plane is 100 x 100, and the nearest terminal is always in reach."""
    label_delay: timedelta = timedelta(days=7)
    """How long after its event the label is known."""
    fraud_amount: float = 220.0
    """Amounts above are fraud (scenario 1)."""
    terminal_rate: float = 2 / 10000
    """Share of the terminals compromised each day for `terminal_days`: all they do is fraud (scenario 2)."""
    terminal_days: int = 28
    card_rate: float = 3 / 5000
    """Share of the cards compromised each day for `card_days`: a third of what they do is fraud (scenario 3)."""
    card_days: int = 14
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        if min(self.days, self.cards, self.terminals) < 1:
            raise ValueError("a world has at least one day, one card and one terminal")
        if self.start.tzinfo is None:
            raise ValueError("write the start with its zone")
