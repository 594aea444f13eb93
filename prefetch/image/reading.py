"""How far an image is read, told now and then: a large one takes minutes."""

from __future__ import annotations

import time
from collections.abc import Callable

from prefetch.image.tarstream import Readable
from prefetch.report.humanize import percent
from prefetch.report.humanize import size as bytes_text

__all__ = ["EVERY", "Reading"]

EVERY = 30.0
"""Seconds between two sentences."""


class Reading:
    """Counts what is read through it.

    Args:
        tell: takes a sentence.
        total: bytes that there are; None where nobody knows.
    """

    def __init__(
        self, tell: Callable[[str], None], *, total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._total = total
        self._clock = clock
        self._done = 0
        self._due = clock() + EVERY

    def through(self, body: Readable) -> Readable:
        """The same body; what is read of it counts."""
        return _Counted(body, self._count)

    def _count(self, size: int) -> None:
        self._done += size
        if (now := self._clock()) >= self._due:
            self._due = now + EVERY
            whole = f" of {bytes_text(self._total)} ({percent(self._done, self._total)})" if self._total else ""
            self._tell(f"{bytes_text(self._done)}{whole} read")


class _Counted:
    def __init__(self, body: Readable, count: Callable[[int], None]) -> None:
        self._body = body
        self._count = count

    def read(self, size: int = -1, /) -> bytes:
        piece = self._body.read(size)
        self._count(len(piece))
        return piece
