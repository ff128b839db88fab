"""Write the model card, as Markdown and as HTML, from the evidence alone (after Mitchell et al. 2019)."""

from __future__ import annotations

from pathlib import Path

from sluice.report.evidence import Evidence
from sluice.report.page import template, write_text
from sluice.report.view import facts_of


def write_card(evidence: Evidence, folder: Path) -> Path:
    """Write `folder`/card.md and card.html; returns the Markdown's path.

    Purpose, owner and limits are the settings' words (`about`); where they say nothing, so does the card.
    """
    facts = facts_of(evidence)
    write_text(folder / "card.html", template("card.html.j2").render(**facts))
    return write_text(folder / "card.md", template("card.md.j2").render(**facts))
