"""What a whole transfer has come to."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.transfer.order import Outcome

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """The bytes received over connections that have ended, and the models that have ended with their bytes."""

    received: int = 0
    models_ended: int = 0
    bytes_ended: int = 0

    def add(self, outcome: Outcome) -> None:
        self.models_ended += 1
        self.bytes_ended += outcome.size or 0
