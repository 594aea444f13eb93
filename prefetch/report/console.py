"""Progress on a terminal: a line a model that is redrawn in place, a total, and a permanent line for each that ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from prefetch.report.events import (
    Event,
    Filling,
    ModelStarted,
    Progress,
    Retried,
    RunFinished,
    RunStarted,
    VerifyFinished,
    Verifying,
    VerifyStarted,
    Waiting,
)
from prefetch.report.notice import Notice
from prefetch.report.picture import Picture
from prefetch.report.wording import Tally, sentence, summary
from prefetch.report.writer import LineWriter

if TYPE_CHECKING:
    from prefetch.report.screen import Screen

__all__ = ["Console"]

_FRAME = 0.1
_STYLES = {
    "FAILED": "red",
    "NOT": "bold red",
    "done:": "bold green",
    "verified:": "bold green",
    "stopped:": "bold yellow",
    "warning:": "yellow",
}


class Console:
    """A listener for a terminal. Its live area exists from the first model that is worked on until `close`."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._plain = LineWriter(stream)
        self._clock = clock
        self._drawn = float("-inf")
        self._tally = Tally()
        self._picture = Picture()
        self._screen: Screen | None = None

    def __call__(self, event: Event) -> None:
        """Take the event into the picture, and write the line it is worth."""
        if isinstance(event, RunStarted | VerifyStarted):
            self._begin_anew()
        self._tally.note(event)
        self._picture.note(event)
        # A terminal that is gone ends its picture, never the work.
        with suppress(OSError):
            self._show(event)

    def close(self) -> None:
        """Take the live area away; what is permanent stays."""
        if self._screen is not None:
            with suppress(OSError):
                self._screen.close()

    def _begin_anew(self) -> None:
        """Another run, with figures of its own."""
        self.close()
        self._tally, self._picture, self._screen = Tally(), Picture(), None

    def _show(self, event: Event) -> None:
        if isinstance(event, RunFinished | VerifyFinished):
            self.close()
            self._print(summary(event, self._tally))
        elif isinstance(event, Progress | Filling | ModelStarted | Verifying | Retried | Waiting):
            self._redraw()
        elif isinstance(event, Notice):
            self._print(event.lines)
        elif line := sentence(event):
            self._print([line])

    def _redraw(self) -> None:
        now = self._clock()
        if now - self._drawn >= _FRAME:
            self._drawn = now
            self._opened().refresh()

    def _opened(self) -> Screen:
        if self._screen is None:
            from prefetch.report.screen import Screen

            self._screen = Screen(self._stream, self._picture.rows)
        return self._screen

    def _print(self, lines: Iterable[str]) -> None:
        for line in lines:
            if self._screen is None:
                self._plain.write(line)
            else:
                self._screen.print(line, _STYLES.get(line.partition(" ")[0], ""))
