"""The use case file: everything a person tunes, typed, frozen and checked before any work.

`read_use_case(path)` is the only way in.
"""

from sluice.settings.reader import parse_sections, parse_use_case, read_use_case, sections_document, settings_json
from sluice.settings.use_case import UseCase

__all__ = ["UseCase", "parse_sections", "parse_use_case", "read_use_case", "sections_document", "settings_json"]
