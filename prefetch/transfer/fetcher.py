"""One connection's work: ask for a range, put its bytes into blocks, and when that breaks, ask for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from tenacity import RetryCallState, stop_after_attempt, stop_any

from prefetch.errors import AccessError, SourceError, TransientError, let_frames_go
from prefetch.net.origin import Body, RangesUnsupported
from prefetch.net.retry import WORTH_ANOTHER_TRY, FullJitter, Retrying, cost_bound
from prefetch.report.events import Listener, Retried
from prefetch.transfer.buffers import Buffer, Buffers
from prefetch.transfer.flow import Flow
from prefetch.transfer.limits import Budget, RateLimit
from prefetch.transfer.peers import Connection, Peers
from prefetch.transfer.segment import Segment
from prefetch.transfer.tally import Tally
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Fetcher"]

ATTEMPTS = 8
"""Tries in a row that may bring nothing before the host is given up."""
PROGRESS = 1 << 16
"""Bytes that make a broken connection count as progress, so that a host which cuts after every megabyte still ends."""
PAUSE_TICK, PAUSE_SPREAD = 1.0, 0.5
"""Seconds between two looks at a host that wants no request, and up to how many more."""
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
        flow: Flow,
        peers: Peers,
        limit: RateLimit | None,
        patience: float,
        listener: Listener,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._buffers = buffers
        self._budget = budget
        self._tally = tally
        self._flow = flow
        self._peers = peers
        self._limit = limit
        self._jitter = FullJitter(patience=patience)
        self._listener = listener
        self._clock = clock
        self._sleep = sleep

    async def fetch(self, segment: Segment) -> None:
        """Fetch ``segment`` to its end, or until its download has no use for it, or its host is given up."""
        try:
            while segment.wanted and not segment.finished:
                await self._until_progress(segment)
        except RangesUnsupported as error:
            await segment.download.read_whole(segment.origin, None, error)
        except (AccessError, SourceError, TransientError) as error:
            if segment.wanted:
                segment.download.origin_failed(segment.origin, error)

    async def _until_progress(self, segment: Segment) -> None:
        retrying = Retrying(
            retry=WORTH_ANOTHER_TRY,
            stop=stop_any(stop_after_attempt(ATTEMPTS), cost_bound(self._jitter.patience)),
            wait=partial(self._wait, segment),
            sleep=self._sleep,
            before_sleep=partial(self._announce, segment),
            reraise=True,
        )
        await retrying(self._attempt, segment)

    async def _attempt(self, segment: Segment) -> None:
        """One connection. Returns when it got somewhere, even if it broke then."""
        start, download = segment.position, segment.download
        download.ranges.choose_host(segment)
        await self._until_open(segment)
        segment.begin(self._clock())
        try:
            await self._connection(segment)
        except TransientError as error:
            # The connection keeps it: with its frames, it would keep the block that was being filled too.
            let_frames_go(error)
            if not segment.wanted:
                return
            download.judge.suspect([*segment.blocks, segment.position // BLOCK_SIZE])
            if error.cause in CROWDED:
                self._budget.failed()
            if download.ranges.whole_only:
                if error.cause == "cut" and download.ranges.is_cut_again(segment):
                    raise _always_cut(segment) from None
                _say_it_starts_over(segment, error)
                await download.restart(segment)
            download.ranges.mirrors.broke(segment)
            if segment.position - start < PROGRESS:
                raise
            self._listener(_retried(segment, error, attempt=1, delay=0.0))

    async def _until_open(self, segment: Segment) -> None:
        """Wait as long as the host wants no request, but no longer than the segment is wanted."""
        while segment.wanted and (left := segment.origin.pause):
            # Not all at once when it is over, or the host would be asked to death again.
            await self._sleep(min(left, PAUSE_TICK) + FullJitter(base=PAUSE_SPREAD).spread())

    async def _connection(self, segment: Segment) -> None:
        origin, began = segment.origin, self._clock()
        segment.host = origin.host
        try:
            async with asyncio.timeout(None) as segment.scope:
                async with origin.open(segment.position, segment.stop) as segment.body:
                    latency = self._clock() - began
                    await self._receive(segment, segment.body)
            seconds = self._clock() - began
            self._peers.ended(origin.host, Connection(segment.received, latency, seconds, segment.waited))
        except TimeoutError:
            raise TransientError(f"The connection to {origin.host} stalled.", cause="stall") from None
        finally:
            segment.scope = None
            segment.download.ranges.ended(segment)
            self._tally.received += segment.received
            self._flow.received[segment.host] += segment.received
            segment.body = None

    async def _receive(self, segment: Segment, body: Body) -> None:
        download = segment.download
        if not body.ranged and not download.ranges.whole_only:
            await download.read_whole(segment.origin, segment, RangesUnsupported(f"{segment.host} serves no ranges"))
        while segment.wanted and not segment.finished:
            if segment.buffer is None:
                segment.buffer = await self._room_for(segment)
            view = self._room(segment, segment.buffer)
            count = await self._fill(segment, body, view)
            if count < len(view) and segment.wanted:
                await self._end_of_body(segment)

    async def _room_for(self, segment: Segment) -> Buffer:
        segment.waiting = False
        since = self._clock()
        try:
            return await self._buffers.acquire()
        finally:
            segment.waited += self._clock() - since

    def _room(self, segment: Segment, buffer: Buffer) -> memoryview:
        """Where the segment's next bytes belong in its buffer."""
        offset = segment.position % BLOCK_SIZE
        count = BLOCK_SIZE - offset
        if segment.stop is not None:
            count = min(count, segment.stop - segment.position)
        if self._limit is not None:
            count = min(count, self._limit.portion)
        return memoryview(buffer)[offset : offset + count]

    async def _fill(self, segment: Segment, body: Body, view: memoryview) -> int:
        if self._limit is not None:
            segment.waiting = False
            await self._limit.take(len(view))
        before = body.received
        segment.waiting = True
        try:
            await body.fill(view)
        finally:
            # What came before a connection broke or was given up is kept: the next one goes on behind it.
            count = body.received - before
            segment.position += count
            if self._limit is not None:
                self._limit.give_back(len(view) - count)
            if count and (segment.position % BLOCK_SIZE == 0 or segment.finished):
                self._block_done(segment)
        return count

    def _block_done(self, segment: Segment) -> None:
        index = (segment.position - 1) // BLOCK_SIZE
        segment.blocks.append(index)
        segment.download.settle(segment, index, segment.position - index * BLOCK_SIZE)

    async def _end_of_body(self, segment: Segment) -> None:
        if segment.stop is not None:
            raise TransientError(f"{segment.origin.host} sent fewer bytes than it said.", cause="cut")
        segment.stop = segment.position
        if segment.position % BLOCK_SIZE:
            self._block_done(segment)
        await segment.download.assembly.learn_size(segment.position)

    def _wait(self, segment: Segment, state: RetryCallState) -> float:
        """Seconds until the next try: none where another host can be asked meanwhile."""
        if segment.refused_by:
            return 0.0
        error = state.outcome and state.outcome.exception()
        if isinstance(error, TransientError) and error.cause.startswith("cdn_") and (pause := segment.origin.pause):
            # The file's next address is tried by one connection for all, and the wait for it grows with each.
            return pause
        return self._jitter(state)

    def _announce(self, segment: Segment, state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, TransientError)
        self._listener(_retried(segment, error, attempt=state.attempt_number, delay=state.upcoming_sleep))


def _retried(segment: Segment, error: TransientError, *, attempt: int, delay: float) -> Retried:
    return Retried(segment.download.order.path, segment.origin.host, error.cause, error.message, attempt, delay)


def _say_it_starts_over(segment: Segment, error: TransientError) -> None:
    """Add to the failure of a connection that was to bring the whole file what it costs, if it brought any of it."""
    if segment.position:
        error.message += f" The file starts over: {segment.download.ranges.whole_because}."


def _always_cut(segment: Segment) -> SourceError:
    path, host = segment.download.order.path, segment.host
    return SourceError(
        f"{host} ends {path} after {segment.position:,} bytes each time, and says that it is longer.",
        remedy="Each further try would cost all of it again. Name another source, or see to that host.",
    )
