"""Read a use case file, and tell every mistake in it at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sluice.errors import SettingsError
from sluice.settings.base import Section
from sluice.settings.contradictions import contradictions
from sluice.settings.layers import Layer, laid_over, located
from sluice.settings.use_case import UseCase

SectionT = TypeVar("SectionT", bound=Section)


def read_use_case(
    path: Path | str, overrides: dict[str, Any] | None = None, overlays: Sequence[Path | str] = ()
) -> UseCase:
    """The use case in a YAML file.

    Args:
        overlays: YAML files that are laid over it, first to last: mappings are joined, all else is replaced.
        overrides: single settings ({"data.source": …}) laid over all of them.

    Raises:
        SettingsError: a file is missing, is no YAML mapping, or holds mistakes; all of them at once.
    """
    layers: list[Layer] = [(Path(file), _mapping(Path(file))) for file in (path, *overlays)]
    document: dict[str, Any] = {}
    for _, layer in layers:
        document = laid_over(document, layer)
    for dotted, value in (overrides or {}).items():
        if value is not None:
            _lay_over(document, dotted.split("."), value)
    where = " with ".join(str(file) for file, _ in layers)
    try:
        return parse_use_case(document, where)
    except SettingsError as error:
        if not overlays:
            raise
        raise SettingsError(where, [located(problem, layers) for problem in error.problems]) from None


def _mapping(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(str(path), ["there is no such file; see the examples in use_cases/"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(str(path), [f"cannot be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise SettingsError(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from None
    return _as_mapping(document, str(path))


def _as_mapping(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SettingsError(where, [f"expected a mapping of sections, got {type(document).__name__}"])
    return document


def parse_use_case(document: Any, where: str = "settings") -> UseCase:
    """A use case from a document (what `UseCase.model_dump(mode="json", by_alias=True)` gives).

    Raises:
        SettingsError: all mistakes at once, each with its path in the document.
    """
    document = _as_mapping(document, where)
    problems: list[str] = []
    use_case: UseCase | None = None
    try:
        use_case = UseCase.model_validate(document)
    except ValidationError as error:
        problems = _describe_all(error, document)
    problems += contradictions(_readable_sections(document))
    if problems or use_case is None:
        raise SettingsError(where, problems)
    return use_case


def settings_json(use_case: UseCase) -> str:
    """The whole use case as JSON: a pipeline's parameter, which `parse_use_case` reads."""
    return json.dumps(use_case.model_dump(mode="json", by_alias=True), sort_keys=True)


def sections_document(use_case: UseCase, names: Iterable[str]) -> dict[str, Any]:
    """The named sections of a use case: what one step needs, so that it is reused when only others change."""
    return use_case.model_dump(mode="json", by_alias=True, include=set(names))


def parse_sections(document: dict[str, Any]) -> UseCase:
    """Inverse of `sections_document`: a use case with only those sections; asking for another is an AttributeError."""
    given = {
        name: _section_reader(UseCase.model_fields[name]).validate_python(value) for name, value in document.items()
    }
    use_case = UseCase.model_construct(_fields_set=set(given), **given)
    for name in UseCase.model_fields.keys() - given.keys():
        use_case.__dict__.pop(name, None)
    return use_case


def _readable_sections(document: dict[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for name, field in UseCase.model_fields.items():
        if name not in document:
            if not field.is_required():
                sections[name] = field.get_default(call_default_factory=True)
            continue
        try:
            sections[name] = _section_reader(field).validate_python(document[name])
        except ValidationError:
            continue
    return sections


def _section_reader(field: FieldInfo) -> TypeAdapter[Any]:
    annotation: Any = field.annotation
    if field.discriminator is not None:
        annotation = Annotated[annotation, Field(discriminator=field.discriminator)]
    return TypeAdapter(annotation)


def _describe_all(error: ValidationError, document: dict[str, Any]) -> list[str]:
    """One line a place in the file: where a value may be of several kinds, one line says all that were possible."""
    found: dict[str, list[str]] = {}
    for entry in error.errors(include_url=False):
        found.setdefault(_path(entry, document), []).append(_describe(entry))
    return [f"{path}: {' or '.join(dict.fromkeys(messages))}" for path, messages in found.items()]


def _path(entry: Any, document: Any) -> str:
    """The place in the file; pydantic's own names of alternatives are no part of it."""
    path: list[str] = []
    here = document
    for part in entry["loc"]:
        inside = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if inside:
            here = here[part]
        elif entry["type"] != "missing" or part != entry["loc"][-1]:
            continue
        path.append(str(part))
    return ".".join(path) or "(whole file)"


def _describe(entry: Any) -> str:
    kind, given = entry["type"], entry.get("input")
    if kind == "extra_forbidden":
        return "unknown setting"
    if kind == "missing":
        return "missing"
    message: str = entry["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list) or repr(given) in message else f", got {given!r}"
    return f"{message}{shown}"


def _lay_over(document: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        inner = document.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = document[part] = {}
        document = inner
    document[parts[-1]] = value


def read_section(path: Path | None, section: type[SectionT]) -> SectionT:
    """The settings in a YAML file that holds one section of a use case; without a file, the defaults.

    Raises:
        SettingsError: it is no YAML, or holds mistakes.
    """
    if path is None:
        return section()
    try:
        return section.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise SettingsError(str(path), lines) from None
    except yaml.YAMLError:
        raise SettingsError(str(path), ["is no YAML"]) from None
