"""The memory plan: what a training will take on the card, told before it starts, and the ways to make it fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sluice.errors import MemoryPlanError
from sluice.settings.training import Memory
from sluice.training.shape import NetworkShape

_FLOAT, _INDEX = 4, 8
WORKSPACE = 128 * 2**20
"""cuBLAS's workspaces in deterministic mode, one for each direction, and what the allocator rounds up."""


@dataclass(frozen=True)
class Layout:
    """How a training is laid out: rows of one forward pass, where the table is, on how many cards."""

    shape: NetworkShape
    rows: int
    batch: int
    micro: int
    host: bool = False
    cards: int = 1


@dataclass(frozen=True)
class Parts:
    """What a training takes, in bytes, part by part."""

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())

    @property
    def text(self) -> str:
        """Each part, as a person reads it."""
        return ", ".join(f"{name} {size_text(size)}" for name, size in asdict(self).items())

    def figures(self, budget: int) -> dict[str, int]:
        """As candidate.json tells it, beside what is allowed."""
        return {**asdict(self), "total": self.total, "budget": budget}


@dataclass(frozen=True)
class Plan(Parts):
    """Bytes on each card. `resident` is the table, `activations` those of one forward and backward pass."""

    parameters: int
    gradients: int
    optimizer: int
    copies: int
    activations: int
    resident: int
    workspace: int = WORKSPACE


@dataclass(frozen=True)
class Way:
    """One way to make a training fit. `plan` is None where the way does not lead there."""

    name: str
    text: str
    layout: Layout
    plan: Plan | None


Ask = Callable[[str, list[Way]], str]
"""Shown the problem and the ways that work, gives the name of one."""


def plan_of(layout: Layout) -> Plan:
    """Bytes of a layout: weights, gradients, AdamW's two moments, the best and the averaged weights in float32."""
    shape = layout.shape
    weights = shape.parameters * _FLOAT
    row = shape.numbers * _FLOAT + (len(shape.categories) + 1) * _INDEX
    passes = -(-min(layout.micro, layout.batch) // layout.cards)
    return Plan(
        parameters=weights,
        gradients=weights,
        optimizer=2 * weights,
        copies=2 * weights + weights // 2,
        activations=passes * activations_per_row(shape),
        resident=(passes if layout.host else -(-layout.rows // layout.cards)) * row,
    )


def activations_per_row(shape: NetworkShape) -> int:
    """Bytes that a row's forward pass keeps for its backward pass, and the largest passing values beside them."""
    encoding = 3 * shape.numbers * shape.bins * _FLOAT
    shared = shape.inputs * _FLOAT + len(shape.categories) * (_INDEX + shape.embedding * _FLOAT)
    adapter = shape.inputs * _FLOAT if shape.members > 1 else 0
    # A dropout's mask is a byte a value on a card and a float in host memory: the larger counts.
    first = 3 * shape.width * _FLOAT
    block = (5 * shape.width + 2) * _FLOAT
    last = shape.width * _FLOAT + 2 * _FLOAT + 4 * shape.outputs * _FLOAT
    passing = 2 * max(shape.inputs if shape.members > 1 else 0, shape.width) * _FLOAT
    return encoding + shared + shape.members * (adapter + first + shape.blocks * block + last + passing)


def budget_of(memory: Memory) -> int:
    """Bytes that a training may take of a card."""
    return int(memory.card * (1 - memory.reserve))


def lay_out(layout: Layout, memory: Memory, cards_here: int, ask: Ask | None) -> tuple[Layout, dict[str, Any]]:
    """The layout that fits the card, and the plan as it is told in candidate.json.

    Args:
        layout: as the settings have it.
        cards_here: cards that the way `gpus` may use.
        ask: puts the question to a person; None where nobody is there.

    Raises:
        MemoryPlanError: it does not fit, and neither the settings nor a person say which way to take, or theirs fails.
    """
    budget = budget_of(memory)
    plan = plan_of(layout)
    if plan.total <= budget:
        return layout, _document(layout, plan, budget, None)
    ways = [_accumulate(layout, budget), _narrow(layout, budget), _host(layout, budget)]
    ways.append(_several(layout, budget, cards_here))
    problem = _problem_text(layout, plan, budget)
    possible = [way for way in ways if way.plan is not None]
    chosen: str = memory.over_budget
    if chosen == "ask":
        if ask is None or not possible:
            hint = "set training.memory.over_budget to one of these ways"
            raise MemoryPlanError(_listing(problem, ways), hint, [way.name for way in possible])
        chosen = ask(problem, possible)
    way = next(way for way in ways if way.name == chosen)
    if way.plan is None:
        raise MemoryPlanError(_listing(problem, ways), f"training.memory.over_budget: {chosen} does not lead there")
    return way.layout, _document(way.layout, way.plan, budget, chosen)


def _accumulate(layout: Layout, budget: int) -> Way:
    micro = _largest(layout.micro, lambda rows: plan_of(replace(layout, micro=rows)).total <= budget)
    passes = -(-layout.batch // micro) if micro else 0
    text = f"accumulate gradients: {passes} passes of {micro} rows for each batch of {layout.batch}; same result"
    return _way("accumulate", text, replace(layout, micro=micro), micro)


def _narrow(layout: Layout, budget: int) -> Way:
    def narrowed(width: int) -> Layout:
        return replace(layout, shape=replace(layout.shape, width=width))

    width = _largest(layout.shape.width, lambda w: plan_of(narrowed(w)).total <= budget)
    text = f"a narrower network: width {width} instead of {layout.shape.width}; another model"
    return _way("narrow", text, narrowed(width), width)


def _host(layout: Layout, budget: int) -> Way:
    there = replace(layout, host=True)
    fits = plan_of(there).total <= budget
    text = (
        f"the table in host memory ({size_text(plan_of(layout).resident)} off the card), copied batch by batch; slower"
    )
    return _way("host", text, there, int(fits))


def _several(layout: Layout, budget: int, here: int) -> Way:
    enough = [n for n in (2, 3, 4, 6, 8, 16, 32, 64) if plan_of(replace(layout, cards=n)).total <= budget]
    cards = enough[0] if enough else 0
    text = f"{cards} GPUs, each with its part of the table; {here} here"
    return _way("gpus", text, replace(layout, cards=max(cards, 1)), cards if 0 < cards <= here else 0)


def _way(name: str, text: str, layout: Layout, works: int) -> Way:
    return Way(name, text, layout, plan_of(layout) if works else None)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest size in 1..most that fits, 0 if none does; what fits at a size fits below it."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _problem_text(layout: Layout, plan: Plan, budget: int) -> str:
    return (
        f"training would take {size_text(plan.total)} of the card, {size_text(budget)} are allowed"
        f" (batch of {layout.batch} rows, width {layout.shape.width}): {plan.text}"
    )


def _listing(problem: str, ways: list[Way]) -> str:
    lines = [f"  - {w.name}: {w.text}: {size_text(w.plan.total) if w.plan else 'does not fit'}" for w in ways]
    return "\n".join([problem, *lines])


def _document(layout: Layout, plan: Plan, budget: int, way: str | None) -> dict[str, Any]:
    placed = {"width": layout.shape.width, "batch": layout.batch, "micro": layout.micro}
    return {"bytes": plan.figures(budget), "way": way, **placed, "host": layout.host, "cards": layout.cards}


def size_text(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / 1e9:.2f} GB" if count >= 10**8 else f"{count / 1e6:.2f} MB"
