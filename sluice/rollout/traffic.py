"""What every way of moving traffic can do; the rollout needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


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

    def weights(self) -> dict[str, int]:
        """Percent of the requests by version, prepared ones with 0 included."""

    def set_weights(self, weights: Mapping[str, int]) -> None:
        """Split the requests from now on; versions that are not named get 0.

        Raises:
            SluiceError: a version is not prepared, or the weights are not whole percents that make 100.
        """

    def retire(self, version: str) -> None:
        """Stop a version without weight; its requests in flight are answered first. Nothing to do when it is gone.

        Raises:
            SluiceError: it still has weight.
        """
