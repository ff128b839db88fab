"""How a version that passed the gate gets its traffic, and what takes it back."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from sluice.settings.base import Duration, Section


class OnCluster(Section):
    """The endpoint on a cluster: an InferenceService a version, and one HTTPRoute whose weights are the traffic."""

    namespace: str | None = Field(None, description="Where the endpoint is; null: the pod's or the context's own.")
    gateway: str = Field("sluice", description="Gateway that the route belongs to.")
    gateway_namespace: str | None = Field(None, description="Its namespace; null: that of the endpoint.")
    hostnames: list[str] = Field(default_factory=list, description="Names that the route answers to; none: any.")
    request_timeout: Duration = Field(
        "5s",
        validate_default=True,
        description="The limit for a request of gateway, front and server: one that hangs longer counts as failed. "
        "A version drains for as long.",
    )
    explain_timeout: Duration = Field(
        "60s",
        validate_default=True,
        description="The gateway's limit for an explanation; longer than `explanations.seconds`.",
    )
    ready_within: Duration = Field(
        "5m", validate_default=True, description="A version that is not ready by then gets no traffic."
    )


class OnLabels(Section):
    """Loss on the rollout's own answers, from the payload ledger, once labels come for them."""

    enabled: bool = Field(False, description="Off: alpha is not split over it, and nothing is read.")
    every: Duration = Field("5m", validate_default=True, description="Time between two readings of ledger and labels.")
    max_increase: float = Field(0.1, ge=0, description="Accepted: a mean loss larger by this share of the champion's.")


class Rollout(Section):
    """Canary steps, each with tests that may be looked at at any time."""

    enabled: bool = Field(False, description="Off: a version that passes the gate is promoted at once.")
    where: Literal["local", "standard", "knative"] = Field(
        "local", description="What moves the traffic: a front on this machine, or KServe in this deployment mode."
    )
    cluster: OnCluster = OnCluster()
    shadow: int = Field(
        0,
        ge=0,
        le=100,
        description="Before the first step the challenger gets a copy of this percent of the requests, and nobody its "
        "answers; 0: no such step.",
    )
    shadow_requests: int = Field(2000, ge=1, description="Copied requests before the shadow step may end.")
    steps: list[float] = Field(
        default_factory=lambda: [0.5, 5.0, 25.0, 50.0],
        min_length=1,
        description="Percent of the traffic, rising, in tenths at the finest (whole ones in Knative mode).",
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Chance that an equal challenger is taken back.")
    min_requests: int = Field(500, ge=1, description="Requests to the challenger before a step may end.")
    max_duration: Duration = Field("4h", validate_default=True, description="Longest time of a step.")
    when_short: Literal["take-back", "proceed"] = Field(
        "take-back",
        description="What happens when a step's time ends with too few requests; proceed: only where there were enough "
        "to find a version whose every request fails or is slow.",
    )
    look_every: Duration = Field("10s", validate_default=True, description="Time between two looks.")
    keep_previous: Duration = Field(
        "0s",
        validate_default=True,
        description="On a cluster the version before goes on running without traffic for this long, ready to return.",
    )
    slow_ratio: float = Field(2.0, gt=1, description="Accepted: answers that take this many times as long.")
    max_error_increase: float = Field(0.005, ge=0, lt=1, description="Accepted: failed requests more, as a share.")
    max_slow_increase: float = Field(0.02, ge=0, lt=1, description="Accepted: slow requests more, as a share.")
    max_score_shift: float = Field(
        0.1, ge=0, lt=1, description="Accepted: rows on another side of a decile of the gate's scores, as a share."
    )
    labels: OnLabels = OnLabels()

    @field_validator("steps")
    @classmethod
    def _rise(cls, steps: list[float]) -> list[float]:
        fine = any(abs(step * 10 - round(step * 10)) > 1e-6 for step in steps)
        if fine or any(not 0.1 <= step <= 100 for step in steps) or any(a >= b for a, b in pairwise(steps)):
            raise ValueError(f"expected percents that rise, from 0.1 to 100 in tenths, got {steps}")
        return steps
