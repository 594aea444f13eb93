"""A notice, and what listens to events: all that a start with nothing to do needs of them, without the other events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prefetch.report.events import Event

__all__ = ["Listener", "Notice"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know that changes nothing."""

    level: Literal["info", "warning"]
    message: str

    @property
    def line(self) -> str:
        """The notice as it is written for a person."""
        return f"{'warning' if self.level == 'warning' else 'note'}: {self.message}"


Listener = Callable[["Event"], None]
