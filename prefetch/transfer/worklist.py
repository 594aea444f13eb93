"""What of one file is still to be fetched, and which ranges of it are on their way."""

from __future__ import annotations

from prefetch.net.origin import Origin
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["SMALLEST_RANGE", "Worklist"]

SMALLEST_RANGE = 2 * BLOCK_SIZE
"""Bytes below which a request is no longer worth its round trip."""
WINDOW = 2
"""How many times as far as all ranges at once reach the first of them may lie back before it is shared out."""


class Worklist:
    """Blocks nobody was sent for, and segments in flight.

    Attributes:
        segments: ranges that connections are fetching now.
    """

    def __init__(self) -> None:
        self.segments: set[Segment] = set()
        self._pending = Runs()

    def __bool__(self) -> bool:
        """Whether there are blocks that nobody was sent for."""
        return bool(self._pending)

    @property
    def first(self) -> int:
        """The first block that nobody was sent for. There must be one."""
        return next(iter(self._pending))[0]

    @property
    def bytes_wanted(self) -> int:
        """Bytes still to be received; the last block of a file counts as a whole one."""
        in_flight = sum(segment.remaining or 0 for segment in self.segments)
        return len(self._pending) * BLOCK_SIZE + in_flight

    def set(self, runs: Runs) -> None:
        """Replace what nobody was sent for."""
        self._pending = runs

    def add(self, first: int, last: int) -> None:
        """The blocks ``[first, last)`` are to be fetched too, before the others."""
        self._pending.add(first, last)

    def next_run(self, limit: int) -> tuple[int, int]:
        """Take the next blocks to fetch off the list, at most ``limit`` of them. There must be one."""
        run = self._pending.take(limit)
        assert run is not None
        return run

    def next_range(self, length: int, size: int | None) -> tuple[int, int | None]:
        """The bytes ``[start, stop)`` for one more connection, at most ``length`` of them. There must be some.

        Args:
            size: the whole file's. While it is None, so is ``stop``.
        """
        if late := self.halve_straggler(WINDOW * (len(self.segments) + 1) * length):
            return late
        first, last = self.next_run(max(1, length // BLOCK_SIZE))
        return first * BLOCK_SIZE, None if size is None else min(size, last * BLOCK_SIZE)

    def halve_longest(self) -> tuple[int, int] | None:
        """Cut the second half off the longest range in flight, if both halves are worth a request.

        Returns:
            The bytes ``[start, stop)`` cut off, for another connection.
        """
        longest = max(self.segments, key=lambda segment: segment.remaining or 0, default=None)
        return None if longest is None else _halve(longest)

    def halve_straggler(self, window: int) -> tuple[int, int] | None:
        """The same with the first range in flight, if what nobody was sent for begins ``window`` bytes behind it.

        The hash waits for the first range, and all that arrives behind it meanwhile has to be read back.
        """
        first = min(self.segments, key=lambda segment: segment.position, default=None)
        if first is None or not self or self.first * BLOCK_SIZE - first.position < window:
            return None
        return _halve(first)

    def abandon_connections(self, *, of: Origin | None = None, but: Segment | None = None) -> None:
        """Break every connection, or those to one host, ``but`` perhaps one."""
        for segment in self.segments:
            if segment is not but and of in (None, segment.origin):
                segment.abandon_connection()


def _halve(segment: Segment) -> tuple[int, int] | None:
    if segment.stop is None:
        return None
    middle = (segment.position + segment.stop) // 2
    middle += -middle % BLOCK_SIZE
    stop = segment.stop
    if min(middle - segment.position, stop - middle) < SMALLEST_RANGE:
        return None
    segment.stop = middle
    return middle, stop
