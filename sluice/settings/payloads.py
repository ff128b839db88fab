"""The payload ledger: what the endpoint sends, how the receiver takes it, how long it is kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sluice.settings.base import ByteSize, Duration, Section


class Payloads(Section):
    """The payload ledger: every answer of the endpoint, with the features that were used."""

    address: str | None = Field(
        None, description="http://host:port of the receiver that a local server posts to; null: no ledger."
    )
    evidence: Literal["asked", "always"] = Field(
        "asked", description="`always`: V2 answers hold features, flags and names even when a caller asks for less."
    )
    queue: int = Field(
        1000,
        ge=2,
        description="Events kept for a receiver that is slow or away: by a local server, and where they are handed on.",
    )
    senders: int = Field(4, ge=1, le=64, description="Connections to the receiver, and to where it hands events on.")
    max_event: ByteSize = Field("4MiB", validate_default=True, description="Largest event that the receiver takes.")
    max_waiting: int = Field(
        1000, ge=1, description="Events that wait for the disk at most; more are told to come again (429)."
    )
    max_spool: ByteSize = Field(
        "1GiB", validate_default=True, description="Events that wait for the store at most; then the receiver says 503."
    )
    segment: ByteSize = Field("4MiB", validate_default=True, description="Events that go to the store together.")
    flush_every: Duration = Field("10s", validate_default=True, description="Events wait no longer to go to the store.")
    remember: int = Field(
        200_000, ge=1, description="An event is known again among this many, at least; a restart does not change that."
    )
    answer_within: Duration = Field(
        "1m", validate_default=True, description="A request without an answer after this long is unanswered."
    )
    clock_skew: Duration = Field(
        "10m", validate_default=True, description="Events of a later time than this ahead of us are refused."
    )
    keep: Duration = Field("180d", validate_default=True, description="Days older than this are removed.")
    file_size: ByteSize = Field("64MiB", validate_default=True, description="Smaller files are written together.")
    compact_from: int = Field(16, ge=2, description="Small files that today has to have before they are.")
