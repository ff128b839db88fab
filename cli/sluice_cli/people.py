"""`sluice approve | pin | unpin | freeze | unfreeze | why | runs`: people decide, and ask."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sluice.registry import Decision, Registry, open_registry
from sluice.registry import why as story_of
from sluice.settings import UseCase
from sluice_cli.console import out
from sluice_cli.options import Actor, Overlay, Reason, Store, UseCaseFile, load


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (approve, pin, unpin, freeze, unfreeze, why):
        app.command()(verb)


Version = Annotated[str | None, typer.Argument(help="Digest of a version, or its first characters")]


def approve(
    use_case: UseCaseFile,
    version: Version = None,
    overlay: Overlay = None,
    *,
    reason: Reason,
    actor: Actor = None,
    store: Store = None,
) -> None:
    """Make a version that passed the gate and awaits approval the champion, or let its rollout begin."""
    settings = load(use_case, overlay, store=store)
    tell(registry_for(settings, actor).approve(version, reason=reason, rollout=settings.rollout.enabled))


def pin(
    use_case: UseCaseFile, overlay: Overlay = None, *, reason: Reason, actor: Actor = None, store: Store = None
) -> None:
    """Keep the champion where it is."""
    tell(registry_of(use_case, overlay, store, actor).pin(reason=reason))


def unpin(
    use_case: UseCaseFile, overlay: Overlay = None, *, reason: Reason, actor: Actor = None, store: Store = None
) -> None:
    """Let a challenger replace the champion again."""
    tell(registry_of(use_case, overlay, store, actor).unpin(reason=reason))


def freeze(
    use_case: UseCaseFile, overlay: Overlay = None, *, reason: Reason, actor: Actor = None, store: Store = None
) -> None:
    """Stop promotion and retraining."""
    tell(registry_of(use_case, overlay, store, actor).freeze(reason=reason))


def unfreeze(
    use_case: UseCaseFile, overlay: Overlay = None, *, reason: Reason, actor: Actor = None, store: Store = None
) -> None:
    """Let promotion and retraining happen again."""
    tell(registry_of(use_case, overlay, store, actor).unfreeze(reason=reason))


def why(use_case: UseCaseFile, overlay: Overlay = None, store: Store = None) -> None:
    """Answer why this version is live."""
    out.print(story_of(registry_of(use_case, overlay, store, None))["text"], markup=False)


def registry_of(use_case: Path, overlay: Sequence[Path] | None, store: str | None, actor: str | None) -> Registry:
    """The registry of a use case file."""
    return registry_for(load(use_case, overlay, store=store), actor)


def registry_for(settings: UseCase, actor: str | None = None) -> Registry:
    """The registry of a use case, on whose log `actor` (default: the user) decides."""
    return open_registry(settings, clock=lambda: datetime.now(UTC), actor=actor or getpass.getuser())


def tell(decision: Decision) -> None:
    """A line about a decision that was made."""
    version = f" {decision.version[:12]}" if decision.version else ""
    out.print(f"{decision.number}. [bold]{decision.kind}[/]{version} by {decision.actor}: {decision.reason}")
