"""Refuse a candidate's unknown, missing or impossible hyper-parameters before any work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from sluice.errors import SettingsError
from sluice.settings import UseCase
from sluice.settings.training import Candidate, Choice, FloatRange, IntRange, Range
from sluice.training.parameters import KINDS, Params


def check_candidates(use_case: UseCase) -> None:
    """Refuse unknown, missing and impossible hyper-parameters and search ranges of all candidates at once.

    Raises:
        SettingsError: one line a mistake, each with its path in the use case file.
    """
    problems = [
        f"training.candidates.{i}.{problem}"
        for i, candidate in enumerate(use_case.training.candidates)
        for problem in _problems(candidate)
    ]
    if problems:
        raise SettingsError(f"use case {use_case.name}", problems)


def read_params(candidate: Candidate, given: dict[str, Any]) -> Params | dict[str, Any]:
    """The parameters of one training: a model of `KINDS`, or the plain mapping of an imported class.

    Raises:
        SettingsError: an unknown, missing or impossible parameter.
    """
    if candidate.kind == "import":
        return dict(given)
    try:
        return KINDS[candidate.kind].model_validate(given)
    except ValidationError as error:
        raise SettingsError(f"candidate {candidate.id}", [f"params.{p}" for _, p in _described(error)]) from None


def _problems(candidate: Candidate) -> Iterator[str]:
    if candidate.kind == "import":
        module, _, name = (candidate.import_ or "").partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), name)):
            yield f"import: expected package.module:Class, got {candidate.import_!r}"
        return
    kind = KINDS[candidate.kind]
    try:
        kind.model_validate(candidate.params)
    except ValidationError as error:
        yield from (f"params.{problem}" for _, problem in _described(error))
    for name, span in candidate.search.ranges.items() if candidate.search else ():
        if name not in kind.model_fields:
            yield f"search.ranges.{name}: {candidate.kind} has no such parameter; it has {', '.join(kind.model_fields)}"
            continue
        ends = span.values if isinstance(span, Choice) else [span.low, span.high]
        yield from sorted({f"search.ranges.{p}" for end in ends for p in _end_problems(kind, candidate, name, end)})
        if isinstance(span, FloatRange) and kind.model_fields[name].annotation is int:
            yield f"search.ranges.{name}.type: {name} is a whole number: use type int"
        if isinstance(span, IntRange) and kind.model_fields[name].annotation is bool:
            yield f"search.ranges.{name}.type: {name} is true or false: use type choice"
        if name in candidate.params and not _inside(candidate.params[name], span):
            yield f"params.{name}: {candidate.params[name]!r} lies outside search.ranges.{name}, and is its first trial"


def _inside(value: Any, span: Range) -> bool:
    if isinstance(span, Choice):
        return value in span.values
    return isinstance(value, int | float) and span.low <= value <= span.high


def _end_problems(kind: type[Params], candidate: Candidate, name: str, end: Any) -> list[str]:
    if isinstance(end, float) and end.is_integer() and kind.model_fields[name].annotation is int:
        return []
    try:
        kind.model_validate({**candidate.params, name: end})
    except ValidationError as error:
        return [problem for where, problem in _described(error) if where == name]
    return []


def _described(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Pairs of the parameter's name and a line about it."""
    for entry in error.errors(include_url=False):
        name = str(entry["loc"][0]) if entry["loc"] else "(all)"
        if entry["type"] == "missing":
            yield name, f"{name}: missing"
        elif entry["type"] == "extra_forbidden":
            yield name, f"{name}: unknown parameter"
        else:
            yield name, f"{name}: {entry['msg']}, got {entry['input']!r}"
