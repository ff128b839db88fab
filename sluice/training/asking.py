"""Puts the question which way to scale to a person in a terminal."""

from __future__ import annotations

import sys

from sluice.training.memory import Ask, Way


def terminal_ask() -> Ask | None:
    """A question in the terminal, or None where nobody could answer."""
    return _ask if sys.stdin.isatty() and sys.stdout.isatty() else None


def _ask(problem: str, ways: list[Way]) -> str:
    print(problem)
    for number, way in enumerate(ways, 1):
        total = way.plan.total / 1e9 if way.plan else 0.0
        print(f"  {number}  {way.name}: {way.text}: {total:.2f} GB")
    while True:
        answer = input(f"Which way (1-{len(ways)})? ").strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(ways):
            return ways[int(answer) - 1].name
        if answer in {way.name for way in ways}:
            return answer
