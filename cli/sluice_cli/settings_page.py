"""The page of all settings, written from the settings themselves: `python -m sluice_cli.settings_page`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sluice.settings import UseCase
from sluice.settings.base import format_duration
from sluice.training.parameters import KINDS

PAGE = Path("docs/settings.md")
HEAD = """# Settings

Everything a person tunes is in one use case file, such as `use_cases/fraud.yaml`. Unknown keys, wrong types and
contradictions are refused before any work, all at once, each with its path: `sluice check use_cases/fraud.yaml`.
Durations are written `7d`, `12h`, `30m`, `5s`, `1us`; sizes `11GB`, `64MiB`.

Every verb takes `--overlay FILE`, once or more: a second YAML file laid over the use case, such as one with the store,
the online store and the images of a cluster. Sections are joined key by key; values and lists are replaced as a whole.
A mistake names the file that it stands in.

This page is written from the settings themselves: `.venv/bin/python -m sluice_cli.settings_page`.
"""


def page() -> str:
    """The whole page as Markdown."""
    sections = [HEAD, *_section("", UseCase)]
    for kind, params in KINDS.items():
        sections += _section(f"training.candidates[].params (kind: {kind})", params)
    return "\n".join(sections).rstrip() + "\n"


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    title = f"`{path}`" if path else "The file"
    yield f"\n## {title}\n\n{_first_paragraph(model)}\n"
    yield "| setting | type | default | meaning |\n|---|---|---|---|"
    for name, field in model.model_fields.items():
        meaning = (field.description or _meaning_of_type(field)).replace("|", "\\|")
        yield f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} | {meaning} |"
    for name, field in model.model_fields.items():
        for child, suffix in _models(field.annotation):
            yield from _section(f"{path}.{field.alias or name}{suffix}".lstrip("."), child)


def _models(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    inner = {list: "[]", dict: ".*"}.get(get_origin(annotation), "")
    found = []
    for argument in get_args(annotation):
        for model, suffix in _models(argument):
            kind = _discriminator(model) if _is_union(annotation) else ""
            found.append((model, inner + suffix + kind))
    return found


def _discriminator(model: type[BaseModel]) -> str:
    for name in ("by", "kind", "type"):
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal:
            return f" ({name}: {get_args(field.annotation)[0]})"
    return ""


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if _is_union(annotation):
        return " or ".join(dict.fromkeys(_type(a) for a in arguments if a is not types.NoneType))
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names = {timedelta: "duration", str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    return "" if value in (None, [], {}) else f"`{value}`"


def _meaning_of_type(field: FieldInfo) -> str:
    models = _models(field.annotation)
    return _first_paragraph(models[0][0]) if len(models) == 1 else ""


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").strip().split("\n\n")[0].split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
