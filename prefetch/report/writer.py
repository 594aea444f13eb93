"""Whole lines to a stream that may go away, and not too many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from prefetch.report.humanize import printable

__all__ = ["EVERY", "LineWriter", "Throttle"]

EVERY = 5.0
"""Seconds between two lines of progress, and between two retries told of one model."""


class LineWriter:
    """Writes whole lines. A reader that went away silences it: to be heard is no part of the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._heard = True

    def write(self, line: str) -> None:
        """Write one line now."""
        if not self._heard:
            return
        try:
            self._stream.write(f"{printable(line)}\n")
            self._stream.flush()
        except OSError:
            self._heard = False


class Throttle:
    """Lets a thing of one name through once in `EVERY` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def allows(self, name: str) -> bool:
        """Whether it is time for the next of this name; if so, its time starts anew."""
        now = self._clock()
        if now - self._last.get(name, -EVERY) < EVERY:
            return False
        self._last[name] = now
        return True
