"""Brings any number of models onto a volume at once over one budget of connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from prefetch.errors import BusyError, OutgrownError, PrefetchError, SpaceError, first_cause
from prefetch.net.bounds import HostBounds
from prefetch.report.events import Listener, ModelStarted
from prefetch.transfer.buffers import Buffers, Shares
from prefetch.transfer.download import Download
from prefetch.transfer.fetcher import Fetcher
from prefetch.transfer.flow import Flow
from prefetch.transfer.limits import Budget, RateLimit
from prefetch.transfer.means import Means
from prefetch.transfer.order import Finished, Order, Outcome, Place
from prefetch.transfer.peers import Peers
from prefetch.transfer.publisher import Publisher
from prefetch.transfer.scheduler import Scheduler
from prefetch.transfer.tally import Tally
from prefetch.transfer.threads import Threads
from prefetch.transfer.watch import Watch
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Engine"]

WRITERS = 4
"""Threads that write: few, because interleaved streams into one file slow a volume down."""
HASHERS = 4
"""Threads that hash, one a file at a time."""


class Engine:
    """Fetches orders until each has an outcome.

    Args:
        connections: how many may be open at once, over all hosts and models.
        memory: bytes of buffers. Half of them may be filled by connections, one block each; the others are on their way
            to the volume, or kept for the hash.
        range_size: bytes to ask for in one request, None to learn what suits each host.
        limit_rate: bytes a second over all connections, None for no cap.
        bounds: what one host may cost a model.
        flow: takes what is moved, over all transfers of a run.
        fail_fast: begin nothing new after the first failure.
        place: gives what is finished its name.
        on_outcome: called once for each order, in the event loop, as soon as it ended.
    """

    def __init__(
        self,
        *,
        connections: int,
        memory: int,
        range_size: int | None,
        limit_rate: int | None,
        bounds: HostBounds,
        flow: Flow,
        fail_fast: bool,
        listener: Listener,
        place: Place,
        on_outcome: Callable[[Outcome], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        blocks = max(4, memory // BLOCK_SIZE)
        self._connections = min(connections, blocks // 2)
        self._budget = Budget(self._connections, cap=limit_rate)
        shares = Shares.of(blocks, connections=self._budget.target, writers=WRITERS, hashers=HASHERS)
        self._bounds = bounds
        self._fail_fast = fail_fast
        self._listener = listener
        self._on_outcome = on_outcome
        self._clock = clock
        self._tally = Tally()
        self._flow = flow
        self._peers = Peers(range_size)
        self._buffers = Buffers(BLOCK_SIZE, shares.moving, kept=shares.kept)
        self._reading = Buffers(BLOCK_SIZE, shares.reading)
        self._fetcher = Fetcher(
            buffers=self._buffers,
            budget=self._budget,
            tally=self._tally,
            flow=flow,
            peers=self._peers,
            limit=RateLimit(limit_rate, clock=clock) if limit_rate else None,
            patience=bounds.patience,
            listener=listener,
            clock=clock,
        )
        self._writers = Threads(WRITERS)
        self._hashers = Threads(HASHERS)
        self._files = Threads(8)
        self._publisher = Publisher(place, self._files, self._flow)
        self._unended: dict[Order, float] = {}
        self._all_ended = asyncio.Event()

    async def run(self, orders: Sequence[Order]) -> None:
        """Work until every order has its outcome. Cancelling it leaves partial files that the next run resumes."""
        if not orders:
            return
        self._unended = dict.fromkeys(orders, self._clock())
        self._scheduler = Scheduler(orders, budget=self._budget, range_size=self._peers.range_size)
        watch = Watch(
            self._scheduler,
            orders,
            budget=self._budget,
            buffers=self._buffers,
            tally=self._tally,
            flow=self._flow,
            peers=self._peers,
            listener=self._listener,
            clock=self._clock,
        )
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._means = self._new_means()
                background = [self._tasks.create_task(self._work()) for _ in range(self._connections)]
                background.append(self._tasks.create_task(watch.run()))
                await self._until_ended()
                for task in background:
                    task.cancel()
        except ExceptionGroup as errors:
            raise first_cause(errors) from None
        finally:
            self._put_away()

    def _new_means(self) -> Means:
        return Means(
            writers=self._writers,
            hashers=self._hashers,
            buffers=self._buffers,
            reading=self._reading,
            flow=self._flow,
            spawn=self._tasks.create_task,
            listener=self._listener,
            changed=self._scheduler.changed,
            clock=self._clock,
            bounds=self._bounds,
        )

    async def _until_ended(self) -> None:
        try:
            await self._all_ended.wait()
        except asyncio.CancelledError:
            # While the tasks end none of them may begin another one, which their group would refuse.
            for download in self._scheduler.downloads:
                download.interrupt()
            raise

    async def _work(self) -> None:
        """One connection of the budget: fetch whatever the scheduler finds most useful, again and again."""
        while True:
            segment = await self._scheduler.take(self._admit)
            try:
                await self._fetcher.fetch(segment)
            finally:
                self._scheduler.done(segment)

    async def _admit(self, order: Order) -> Download | None:
        """Open the order's partial file; None when that failed and the order has its outcome."""
        self._unended[order] = self._clock()
        try:
            partial = order.open_now()
            if partial is None:
                partial = await self._files.run(order.open)
        except PrefetchError as error:
            self._end(order, Outcome(order.path, order.size, None, 0, 0, self._age(order), error))
            return None
        download = Download(order, partial, self._means)
        self._listener(ModelStarted(order.path, download.ranges.mirrors.hosts, order.size, download.resumed))
        self._tasks.create_task(self._see_through(download))
        return download

    async def _see_through(self, download: Download) -> None:
        """Publish what was verified, or put away what was not, and say how it ended."""
        await download.over.wait()
        await download.until_settled()
        order, error, sha256 = download.order, download.error, download.sha256
        try:
            if error is None:
                error = await self._publisher.publish(
                    Finished(order.path, download.partial, sha256, download.judge.content)
                )
            elif download.worthless:
                await self._files.run(download.partial.discard)
            else:
                await self._files.run(download.partial.close)
        except PrefetchError as failure:
            error = failure
        download.assembly.put_away()
        self._scheduler.ended(download)
        self._end(order, self._outcome(download, error))

    def _outcome(self, download: Download, error: PrefetchError | None) -> Outcome:
        return Outcome(
            path=download.order.path,
            size=download.partial.size,
            sha256=download.sha256 if error is None else None,
            received=download.ranges.received,
            resumed=download.resumed,
            seconds=self._age(download.order),
            error=error,
            rejected=download.rejected,
        )

    def _end(self, order: Order, outcome: Outcome) -> None:
        del self._unended[order]
        self._on_outcome(outcome)
        if not isinstance(outcome.error, BusyError):
            self._tally.add(outcome)
            if outcome.error is not None and (self._fail_fast or _is_full(outcome.error)):
                self._stop(outcome.error)
        if not self._unended:
            self._all_ended.set()

    def _stop(self, error: PrefetchError) -> None:
        """Nothing else can succeed, or is wanted after a failure: end every order that is not at its end yet."""
        for download in self._scheduler.downloads:
            download.fail(error)
        for order in self._scheduler.drop_queued():
            self._end(order, Outcome(order.path, order.size, None, 0, 0, 0.0, error))

    def _put_away(self) -> None:
        """Every task and every thread's job has ended, so nothing uses what is closed here."""
        for download in self._scheduler.downloads:
            # There are some only if the run was cancelled, which is to be told whatever the volume says now.
            with suppress(PrefetchError):
                download.partial.close()
            self._on_outcome(self._outcome(download, download.error or download.interruption()))
        self._listener(self._flow.traffic({}))
        self._writers.close()
        self._hashers.close()
        self._files.close()
        self._buffers.close()
        self._reading.close()

    def _age(self, order: Order) -> float:
        return self._clock() - self._unended[order]


def _is_full(error: PrefetchError) -> bool:
    """Whether there is no room for any model: one that outgrew what the others leave it says nothing of them."""
    return isinstance(error, SpaceError) and not isinstance(error, OutgrownError)
