"""What a model card can only know from people."""

from __future__ import annotations

from pydantic import Field

from sluice.settings.base import Section


class About(Section):
    """Shown in the model card as it is written here; nothing of it is made up when it is missing."""

    purpose: str | None = Field(None, description="What the scores are for, and what they are not for.")
    owner: str | None = Field(None, description="Who answers for the model.")
    limitations: list[str] = Field(default_factory=list, description="Known limits, one a line.")
