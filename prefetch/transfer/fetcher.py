"""One connection's work: ask for a range, put its bytes into blocks, and when that breaks, ask for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from prefetch.errors import AccessError, SourceError, TransientError
from prefetch.net.origin import Body, RangesUnsupported
from prefetch.net.retry import FullJitter
from prefetch.report.events import Listener, Retried
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.limits import Budget, RateLimit
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Peers
from prefetch.transfer.tally import Tally
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Fetcher"]

ATTEMPTS = 8
"""Tries in a row that may bring nothing before the host is given up."""
PROGRESS = 1 << 16
"""Bytes that make a broken connection count as progress, so that a host which cuts after every megabyte still ends."""
CROWDED = frozenset({"connect", "reset", "status_429", "status_503"})
"""Causes that fewer connections may cure."""


class Fetcher:
    """Fetches segments; what it brings and what it fails at goes to their downloads."""

    def __init__(
        self,
        *,
        buffers: Buffers,
        budget: Budget,
        tally: Tally,
        peers: Peers,
        limit: RateLimit | None,
        listener: Listener,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._buffers = buffers
        self._budget = budget
        self._tally = tally
        self._peers = peers
        self._limit = limit
        self._listener = listener
        self._clock = clock
        self._sleep = sleep

    async def fetch(self, segment: Segment) -> None:
        """Fetch ``segment`` to its end, or until its download has no use for it, or its host is given up."""
        try:
            while segment.wanted and not segment.finished:
                await self._until_progress(segment)
        except RangesUnsupported:
            await segment.download.read_whole(None)
        except (AccessError, SourceError, TransientError) as error:
            if segment.wanted:
                segment.download.origin_failed(error)

    async def _until_progress(self, segment: Segment) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=FullJitter(),
            sleep=self._sleep,
            before_sleep=partial(self._announce, segment),
            reraise=True,
        )
        await retrying(self._attempt, segment)

    async def _attempt(self, segment: Segment) -> None:
        """One connection. Returns when it got somewhere, even if it broke then."""
        start, began, host = segment.position, self._clock(), segment.download.origin.host
        segment.begin(began)
        try:
            await self._connection(segment)
            self._peers.ended(host, segment.received, self._clock() - began)
        except TransientError as error:
            if not segment.wanted:
                return
            segment.download.suspect([*segment.blocks, segment.position // BLOCK_SIZE])
            if error.cause in CROWDED:
                self._budget.failed()
            if segment.download.whole_only:
                await segment.download.restart(segment)
            if segment.position - start < PROGRESS:
                raise
            self._listener(_retried(segment, error, attempt=1, delay=0.0))

    async def _connection(self, segment: Segment) -> None:
        origin = segment.download.origin
        try:
            async with asyncio.timeout(None) as segment.scope:
                segment.waiting_since = self._clock()
                async with origin.open(segment.position, segment.stop) as body:
                    await self._receive(segment, body)
        except TimeoutError:
            raise TransientError(f"The connection to {origin.host} stalled.", cause="stall") from None
        finally:
            segment.scope = None
            segment.waiting_since = None

    async def _receive(self, segment: Segment, body: Body) -> None:
        download = segment.download
        if not body.ranged and segment.stop != download.partial.size:
            await download.read_whole(segment)
        async for chunk in body.chunks:
            segment.waiting_since = None
            segment.received += len(chunk)
            download.received += len(chunk)
            self._tally.received += len(chunk)
            if self._limit is not None:
                await self._limit.take(len(chunk))
            await self._store(segment, chunk)
            if segment.finished or not segment.wanted:
                return
            segment.waiting_since = self._clock()
        await self._end_of_body(segment)

    async def _store(self, segment: Segment, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view and segment.wanted and not segment.finished:
            if segment.buffer is None:
                segment.buffer = await self._buffers.acquire()
            offset = segment.position % BLOCK_SIZE
            count = min(len(view), BLOCK_SIZE - offset)
            if segment.stop is not None:
                count = min(count, segment.stop - segment.position)
            segment.buffer[offset : offset + count] = view[:count]
            segment.position += count
            view = view[count:]
            if segment.position % BLOCK_SIZE == 0 or segment.finished:
                self._block_done(segment)

    def _block_done(self, segment: Segment) -> None:
        index = (segment.position - 1) // BLOCK_SIZE
        segment.blocks.append(index)
        segment.download.settle(segment, index, segment.position - index * BLOCK_SIZE)

    async def _end_of_body(self, segment: Segment) -> None:
        if segment.stop is not None:
            raise TransientError(f"{segment.download.origin.host} sent fewer bytes than it said.", cause="cut")
        segment.stop = segment.position
        if segment.buffer is not None and segment.position % BLOCK_SIZE:
            self._block_done(segment)
        await segment.download.learn_size(segment.position)

    def _announce(self, segment: Segment, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, TransientError)
        self._listener(_retried(segment, error, attempt=state.attempt_number, delay=state.upcoming_sleep))


def _retried(segment: Segment, error: TransientError, *, attempt: int, delay: float) -> Retried:
    download = segment.download
    return Retried(download.order.path, download.origin.host, error.cause, error.message, attempt, delay)
