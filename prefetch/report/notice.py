"""A notice, and what listens to events: all that a start with nothing to do needs of them, without the other events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prefetch.report.humanize import duration

if TYPE_CHECKING:
    from prefetch.errors import PrefetchError
    from prefetch.report.events import Event

__all__ = ["Listener", "Notice", "asked_again"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know that changes nothing."""

    level: Literal["info", "warning"]
    message: str

    @property
    def lines(self) -> list[str]:
        """The notice as it is written for a person; all but the first line are indented, and so pass for no other."""
        first, *others = self.message.split("\n")
        return [f"{'warning' if self.level == 'warning' else 'note'}: {first}", *(f"  {line}" for line in others)]


def asked_again(error: PrefetchError, delay: float) -> Notice:
    """That a host did not answer as it should, and is asked again in ``delay`` seconds."""
    return Notice("warning", f"{error.message.rstrip('.')}; asked again in {duration(delay)}.")


Listener = Callable[["Event"], None]
