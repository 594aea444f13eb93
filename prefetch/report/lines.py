"""Progress without a terminal (RunPod's log view, a file): plain lines, none of them ever rewritten."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from prefetch.report.events import (
    Event,
    Filling,
    Progress,
    Retried,
    RunFinished,
    RunStarted,
    VerifyFinished,
    VerifyStarted,
    Waiting,
)
from prefetch.report.notice import Notice
from prefetch.report.wording import Tally, progress_line, sentence, summary
from prefetch.report.writer import LineWriter, Throttle

__all__ = ["Lines"]


class Lines:
    """A listener that writes one line at each change of state and one of progress every five seconds."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = LineWriter(stream)
        self._tally = Tally()
        self._throttle = Throttle(clock)

    def __call__(self, event: Event) -> None:
        """Write what the event is worth."""
        if isinstance(event, RunStarted | VerifyStarted):
            self._tally = Tally()
        self._tally.note(event)
        for line in self._lines(event):
            self._out.write(line)

    def _lines(self, event: Event) -> list[str]:
        if isinstance(event, RunFinished | VerifyFinished):
            return summary(event, self._tally)
        if isinstance(event, Progress):
            return [progress_line(event)] if self._throttle.allows("") else []
        if isinstance(event, Filling) and event.total is not None and not self._throttle.allows(event.data_center):
            return []
        if isinstance(event, Retried | Waiting) and not self._throttle.allows(event.path):
            return []
        if isinstance(event, Notice):
            return event.lines
        line = sentence(event)
        return [line] if line else []
