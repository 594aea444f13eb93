"""Which bytes the next free connection fetches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from prefetch.transfer.download import Download
from prefetch.transfer.limits import Budget
from prefetch.transfer.order import Order
from prefetch.transfer.ranges import Span
from prefetch.transfer.segment import Segment
from prefetch.transfer.worklist import SMALLEST_RANGE
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Scheduler"]

Admit = Callable[[Order], Awaitable[Download | None]]
"""Begins a model; None when that failed."""

AT_ONCE = 4
"""Models begun for each connection, most of them waiting for the volume: each holds open files."""


class Scheduler:
    """Shares connections out among models.

    The next connection goes where most bytes are left per connection already there. Large models so get their
    connections first and in proportion, all of them end at about the same time, and nothing large is left over for a
    slow end. A quarter of the connections, one at least, goes the other way: first to the models of one block, whose
    time is round trips and directory operations, not bytes, and passes best beside the large ones; then to the smallest
    of the others. So small models end early on a slow link too.
    """

    def __init__(
        self,
        orders: Sequence[Order],
        *,
        budget: Budget,
        range_size: Callable[[str], int],
    ) -> None:
        by_size = sorted(orders, key=_size, reverse=True)
        self._large = deque(order for order in by_size if not _is_small(order))
        self._small = deque(order for order in orders if _is_small(order))
        self._queued = sum(order.size or 0 for order in orders)
        self._budget = budget
        self._range_size = range_size
        self._downloads: list[Download] = []
        # Begun because they were the smallest; None while they are being opened.
        self._early: dict[Order, Download | None] = {}
        self._taken = 0
        self._idle: deque[asyncio.Future[None]] = deque()

    @property
    def segments(self) -> list[Segment]:
        """Every range in flight."""
        return [segment for download in self._downloads for segment in download.ranges.segments]

    @property
    def downloads(self) -> Sequence[Download]:
        """The models that have been begun and not ended."""
        return self._downloads

    @property
    def taken(self) -> int:
        """Connections at work."""
        return self._taken

    @property
    def has_idle(self) -> bool:
        """Whether a connection of the budget finds nothing to fetch."""
        return self._taken < self._budget.target and not self._large and not self._small

    def changed(self) -> None:
        """Something may have become possible: have one who waits look again.

        One is enough: who finds something to fetch has the next one look, and there may be a change for each block.
        """
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def drop_queued(self) -> list[Order]:
        """Take every order that has not been begun off the queue and return them."""
        queued = [*self._large, *self._small]
        self._large.clear()
        self._small.clear()
        return queued

    def ended(self, download: Download) -> None:
        self._downloads.remove(download)
        self._early.pop(download.order, None)
        self.changed()

    async def take(self, admit: Admit) -> Segment:
        """Wait for a range to fetch. Each one taken must be `done`."""
        while True:
            if self._taken < self._budget.target:
                self._taken += 1
                if (segment := await self._next(admit)) is not None:
                    self.changed()
                    return segment
                self._taken -= 1
            waiter = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter

    def done(self, segment: Segment) -> None:
        """The connection that took ``segment`` is free again."""
        self._taken -= 1
        segment.download.release(segment)

    async def _next(self, admit: Admit) -> Segment | None:
        while True:
            best = self._best([download for download in self._downloads if download.ranges.has_pending])
            order = self._next_order(best)
            if order is None:
                return _begin(best, best.ranges.take(self._range_length)) if best is not None else self._split()
            self._queued -= order.size or 0
            # To open it may take long, and there may be more to do.
            self.changed()
            download = await admit(order)
            if download is None:
                self._early.pop(order, None)
            else:
                self._downloads.append(download)
                if order in self._early:
                    self._early[order] = download
                download.begin()
                if _is_small(order) and download.ranges.has_pending:
                    # Nothing else can be its next range, and there may be thousands of these.
                    return _begin(download, download.ranges.take(lambda host: BLOCK_SIZE))

    def _best(self, pending: list[Download]) -> Download | None:
        """The one of the begun models to which the next connection should go."""
        early = [download for download in pending if download.order in self._early] if self._early_is_due() else []
        if early:
            return min(early, key=lambda download: download.ranges.bytes_wanted)
        return max(pending, key=_bytes_a_connection, default=None)

    def _next_order(self, best: Download | None) -> Order | None:
        """The queued order that should be begun instead of giving another connection to ``best``."""
        if len(self._downloads) >= AT_ONCE * self._budget.target:
            return None
        if self._early_is_due():
            return self._next_early(best)
        if self._small and best is None:
            return self._small.popleft()
        if self._large and (best is None or _size(self._large[0]) > _bytes_a_connection(best)):
            return self._large.popleft()
        return None

    def _next_early(self, best: Download | None) -> Order | None:
        """The smallest order of the queue, unless ``best`` is smaller; None where there is none."""
        if self._small:
            return self._small.popleft()
        if not self._large or (best is not None and best.order in self._early):
            return None
        order = self._large.pop()
        self._early[order] = None
        return order

    def _early_is_due(self) -> bool:
        """Whether the next connection should go to what is small."""
        small = sum(1 for download in self._downloads if _is_small(download.order))
        early = sum(1 if download is None else len(download.ranges.segments) for download in self._early.values())
        return small + early < max(1, self._budget.target // 4)

    def _range_length(self, host: str) -> int:
        """Long ranges first and short ones at the end, so that all connections end together without halving any."""
        left = self._queued + sum(download.ranges.bytes_wanted for download in self._downloads)
        return max(SMALLEST_RANGE, min(self._range_size(host), left // (2 * self._budget.target)))

    def _split(self) -> Segment | None:
        large = [download for download in self._downloads if not _is_small(download.order)]
        for download in sorted(large, key=_bytes_a_connection, reverse=True):
            if (tail := download.ranges.split()) is not None:
                return _begin(download, tail)
        return None


def _begin(download: Download, span: Span) -> Segment:
    segment = Segment(download, *span)
    download.ranges.begin(segment)
    return segment


def _size(order: Order) -> int:
    # A model of unknown size may be any: begin it early.
    return order.size if order.size is not None else 1 << 62


def _is_small(order: Order) -> bool:
    return _size(order) <= BLOCK_SIZE


def _bytes_a_connection(download: Download) -> float:
    return download.ranges.bytes_wanted / (len(download.ranges.segments) + 1)
