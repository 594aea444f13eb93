"""What listens where nothing can be redrawn: notices at once, and from the first other event on `Lines`.

Standard library only, and little of it: a start of the container with nothing to do tells one notice and is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from prefetch.report.notice import Listener, Notice
from prefetch.report.writer import LineWriter

if TYPE_CHECKING:
    from prefetch.report.events import Event

__all__ = ["Plain"]


class Plain:
    """A listener that loads the words of a whole run only when there is one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._notices = LineWriter(stream)
        self._lines: Listener | None = None

    def __call__(self, event: Event) -> None:
        """Write what the event is worth."""
        if self._lines is not None:
            self._lines(event)
        elif isinstance(event, Notice):
            for line in event.lines:
                self._notices.write(line)
        else:
            self._begin()(event)

    def _begin(self) -> Listener:
        from prefetch.report.lines import Lines

        self._lines = Lines(self._stream)
        return self._lines
