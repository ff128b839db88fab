"""What every way of moving traffic can do; the rollout needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sluice.errors import RequestError


@dataclass(frozen=True)
class Shadow:
    """A version that gets a copy of this percent of the requests, and whose answers nobody gets."""

    version: str
    percent: int


class Traffic(Protocol):
    """Versions of one model behind one endpoint, named by their digests.

    A version is prepared (0 % and ready), given weight, and retired when it has none. Implementations: processes on
    one machine (`local`); on a cluster InferenceServices behind a route of ours, or Knative revisions.
    """

    @property
    def endpoint(self) -> str:
        """http://host:port that clients call, the same whatever the weights."""

    def prepare(self, version: str) -> None:
        """Have a version run and ready, without traffic. Preparing it again does nothing.

        Raises:
            SluiceError: it does not get ready; what was started for it is gone again.
        """

    def weights(self) -> dict[str, float]:
        """Percent of the requests by version, prepared ones with 0 included."""

    def set_weights(self, weights: Mapping[str, float], shadow: Shadow | None = None) -> None:
        """Split the requests from now on; versions that are not named get 0. Without `shadow` nothing is copied.

        Raises:
            SluiceError: a version is not prepared, the weights are not tenths of percents that make 100, or copies
                cannot be had here.
        """

    def retire(self, version: str) -> None:
        """Stop a version without weight; its requests in flight are answered first. Nothing to do when it is gone.

        Raises:
            SluiceError: it still has weight.
        """


def in_tenths(weights: Mapping[str, float]) -> dict[str, int]:
    """The weights in tenths of a percent.

    Raises:
        RequestError: one is negative or finer than that, or they do not make 100.
    """
    tenths = {version: round(weight * 10) for version, weight in weights.items()}
    fine = any(abs(weight * 10 - tenths[version]) > 1e-6 for version, weight in weights.items())
    if fine or sum(tenths.values()) != 1000 or any(weight < 0 for weight in tenths.values()):
        raise RequestError(f"weights are percents, in tenths at the finest, that make 100, got {dict(weights)}")
    return tenths


def refuse_strangers(weights: Mapping[str, float], shadow: Shadow | None, known: Mapping[str, object]) -> None:
    """Refuse weight or copies for versions that are not prepared.

    Raises:
        RequestError: names them.
    """
    named = [*weights, *([shadow.version] if shadow else [])]
    strangers = [version[:12] for version in named if version not in known]
    if strangers:
        raise RequestError(f"not prepared: {', '.join(strangers)}", hint="prepare a version before it gets weight")
