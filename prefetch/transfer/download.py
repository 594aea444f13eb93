"""One model on its way: which of its blocks are missing, asked for, here, and doubted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from prefetch.errors import ContentError, HashMismatch, PrefetchError
from prefetch.net.origin import Origin
from prefetch.report.events import Listener, Repaired
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.content import check_header
from prefetch.transfer.frontier import Frontier
from prefetch.transfer.order import Order
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Speedometer
from prefetch.transfer.threads import Spawn, Threads
from prefetch.volume.partial import BLOCK_SIZE, Partial

__all__ = ["Download"]


class Download:
    """The state of one order while it is worked on. All of it belongs to the event loop.

    Attributes:
        segments: ranges that connections are fetching now.
        suspects: blocks that came over a connection which broke, stalled or lagged.
        received: bytes of body received.
        refetched: bytes received for blocks that were here before.
        generation: grows when everything starts over; what older segments bring is not wanted any more.
        over: set once there is nothing left to fetch: the file is verified, or ``error`` says why it never will be.
    """

    def __init__(
        self,
        order: Order,
        partial: Partial,
        *,
        threads: Threads,
        buffers: Buffers,
        spawn: Spawn,
        meter: Speedometer,
        listener: Listener,
        changed: Callable[[], None],
    ) -> None:
        self.order = order
        self.partial = partial
        self.segments: set[Segment] = set()
        self.suspects: set[int] = set()
        self.received = 0
        self.refetched = 0
        self.generation = 0
        self.resumed = partial.resumed_bytes
        self.error: PrefetchError | None = None
        self.over = asyncio.Event()
        self.meter = meter
        self._origins = list(order.origins)
        self._pending = Runs()
        self._later = Runs()
        self._whole_only = False
        self._second_look = False
        self._flushing = False
        self._header_fault: ContentError | None = None
        self._unsettled: set[asyncio.Task[None]] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._threads = threads
        self._buffers = buffers
        self._spawn = spawn
        self._listener = listener
        self._changed = changed
        self.frontier = self._new_frontier()
        self._plan()

    def begin(self) -> None:
        """Start to check what an earlier run left; a complete partial file needs no connection at all."""
        self.frontier.drain()

    # What a connection asks -------------------------------------------------------------------------------------

    @property
    def origin(self) -> Origin:
        """The host that is being asked now."""
        return self._origins[0]

    @property
    def bytes_wanted(self) -> int:
        """Bytes that still have to be received; what the scheduler shares connections out by."""
        waiting = (len(self._pending) + len(self._later)) * BLOCK_SIZE
        return waiting + sum(segment.remaining or BLOCK_SIZE for segment in self.segments)

    @property
    def bytes_here(self) -> int:
        """Bytes on the volume or in memory that need not be received again."""
        if self.partial.size is None:
            return sum(segment.position for segment in self.segments)
        return max(0, self.partial.size - self.bytes_wanted) if not self._second_look else self.partial.size

    @property
    def bytes_hashed(self) -> int:
        return min(self.frontier.next * BLOCK_SIZE, self.partial.size or self.frontier.next * BLOCK_SIZE)

    @property
    def has_pending(self) -> bool:
        return not self.over.is_set() and bool(self._pending or self._later)

    def take(self, length: int) -> Segment:
        """The next range to fetch, of at most ``length`` bytes. There must be one: see `has_pending`."""
        if not self._pending:
            self._pending, self._later = self._later, Runs()
        run = self._pending.take(max(1, self.partial.block_count if self._whole_only else length // BLOCK_SIZE))
        assert run is not None
        size = self.partial.size
        stop = None if size is None else min(size, run[1] * BLOCK_SIZE)
        return self._begin(Segment(self, run[0] * BLOCK_SIZE, stop))

    def split(self, at_least: int) -> Segment | None:
        """Take the second half of the longest range in flight, if both halves keep ``at_least`` bytes."""
        if self.over.is_set() or self._whole_only or not self.segments:
            return None
        longest = max(self.segments, key=lambda segment: segment.remaining or 0)
        middle = longest.position + (longest.remaining or 0) // 2
        middle += -middle % BLOCK_SIZE
        if longest.stop is None or middle - longest.position < at_least or longest.stop - middle < at_least:
            return None
        tail = Segment(self, middle, longest.stop)
        longest.stop = middle
        return self._begin(tail)

    def release(self, segment: Segment) -> None:
        """A connection is done with ``segment``: what it did not bring is to be fetched by another one."""
        self.segments.discard(segment)
        if segment.buffer is not None:
            self._buffers.release(segment.buffer)
            segment.buffer = None
        if segment.wanted and not segment.finished:
            self._ask_again(segment)
        if self._second_look:
            self.frontier.drain()
        self._changed()

    def settle(self, segment: Segment, index: int, length: int) -> None:
        """The segment's buffer holds block ``index`` whole: take it over and bring it to the volume."""
        assert segment.buffer is not None
        buffer, segment.buffer = segment.buffer, None
        task = self._spawn(self._settle(index, buffer, length, self.generation))
        self._unsettled.add(task)
        task.add_done_callback(self._settled)

    # What goes wrong --------------------------------------------------------------------------------------------

    def fail(self, error: PrefetchError) -> None:
        """Give the download up. What is on the volume stays for the next run."""
        if self.error is None and not self.over.is_set():
            self.error = error
            self._end()

    def origin_failed(self, error: PrefetchError) -> None:
        """The present host cannot give the file: go on with the next mirror, or give up."""
        if len(self._origins) == 1:
            self.fail(error)
            return
        del self._origins[0]
        self._whole_only = False
        self._abandon()
        if isinstance(error, ContentError):
            self._start_over()
        self._changed()

    def read_whole(self, keeper: Segment | None) -> None:
        """The host sends no ranges: fetch the file over one connection, ``keeper``'s if that reads from the start."""
        if self._whole_only:
            return
        self._whole_only = True
        self._abandon(keeper)
        self._start_over()
        if keeper is not None:
            keeper.generation = self.generation
            keeper.stop = self.partial.size
            self._pending.clear()

    async def learn_size(self, size: int) -> None:
        """The end of a file of unknown size was reached."""
        await self.until_settled()
        self.partial.learn_size(size)
        self.frontier.drain()

    async def restart(self, segment: Segment) -> None:
        """A connection that reads the whole file broke: the next one has to begin at the start."""
        await self.until_settled()
        if segment.buffer is not None:
            self._buffers.release(segment.buffer)
            segment.buffer = None
        segment.position = 0
        self._start_over()
        self._pending.clear()
        segment.generation = self.generation

    def flush(self) -> None:
        """Have what was written so far brought to the disk in the background."""
        if not self._flushing:
            self._flushing = True
            self._spawn_beside(self._flush())

    @property
    def whole_only(self) -> bool:
        """Whether the file can only be read from its start to its end over one connection."""
        return self._whole_only

    async def until_settled(self) -> None:
        """Wait until nothing reads or writes the partial file any more."""
        while busy := self._unsettled | self._beside:
            await asyncio.wait(busy)

    # Inside -----------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        if self.partial.size is None:
            self._whole_only = True
            self._pending.add(0, 1)
        else:
            self._pending = Runs.missing(self.partial.block_count, self.partial.claimed)
            self._whole_only = self.origin.ranges is False
            if self._whole_only and self.partial.claimed and self._pending:
                self._start_over()

    def _new_frontier(self) -> Frontier:
        return Frontier(
            self.partial,
            threads=self._threads,
            buffers=self._buffers,
            spawn=self._spawn_beside,
            damaged=self._damaged,
            complete=self._complete,
            failed=self.fail,
            git_blob=self.order.git_sha1 is not None,
        )

    def _spawn_beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._spawn(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    def _begin(self, segment: Segment) -> Segment:
        self.segments.add(segment)
        return segment

    def _ask_again(self, segment: Segment) -> None:
        if self._whole_only:
            self._start_over()
            return
        assert segment.stop is not None
        self._pending.add(segment.position // BLOCK_SIZE, -(-segment.stop // BLOCK_SIZE))

    def _start_over(self) -> None:
        self.generation += 1
        self.frontier.retire()
        self.partial.restart()
        self.frontier = self._new_frontier()
        self._later.clear()
        self._pending = Runs.missing(self.partial.block_count if self.partial.size is not None else 1, ())

    def _abandon(self, keeper: Segment | None = None) -> None:
        for segment in self.segments:
            if segment is not keeper:
                segment.abandon_connection()

    def _end(self) -> None:
        self.over.set()
        self.frontier.retire()
        self._abandon()
        self._changed()

    async def _settle(self, index: int, buffer: bytearray, length: int, generation: int) -> None:
        view = memoryview(buffer)[:length]
        try:
            if generation != self.generation:
                return
            if index == 0:
                self._look_at_header(view)
            if self._second_look and index in self.partial.claimed:
                await self._compare(index, view)
            else:
                await self._threads.run(self.partial.write, index, view)
                await self.frontier.landed(index, view)
        except PrefetchError as error:
            self.fail(error)
        finally:
            view.release()
            self._buffers.release(buffer)

    async def _flush(self) -> None:
        try:
            await self._threads.run(self.partial.sync)
        except PrefetchError as error:
            self.fail(error)
        finally:
            self._flushing = False

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._unsettled.discard(task)
        if not self.over.is_set():
            self.frontier.drain()

    def _look_at_header(self, view: memoryview) -> None:
        try:
            check_header(self.order.path, view, self.partial.size if self.partial.size is not None else len(view))
        except ContentError as error:
            # A pinned hash that matches is the last word; without one the header is all there is to judge by.
            self._header_fault = error
            if self.order.sha256 is None and self.order.git_sha1 is None:
                self._refuse(error)

    def _damaged(self, index: int) -> None:
        length = self.partial.block_length(index)
        self._listener(Repaired(self.order.path, "disk", length))
        self.refetched += length
        self._pending.add(index, index + 1)
        self._changed()

    def _complete(self) -> None:
        if self.over.is_set():
            return
        if self._is_right():
            if self._second_look and self.refetched:
                self._listener(Repaired(self.order.path, "transit", self.refetched))
            self._end()
        elif not self._second_look:
            self._look_again()
        elif not (self._pending or self._later or self.segments or self._unsettled):
            self._refuse(self._mismatch())

    def _is_right(self) -> bool:
        if self.order.sha256 is not None:
            return self.frontier.sha256 == self.order.sha256
        return self.order.git_sha1 is None or self.frontier.git_sha1 == self.order.git_sha1

    def _look_again(self) -> None:
        """The hash is wrong and no host tells which block is: fetch them again, the suspicious ones first.

        A block that comes the same again is right, or wrong at the host; one that comes differently is the bad one.
        """
        if self._header_fault is not None:
            self._refuse(self._header_fault)
            return
        self._second_look = True
        if self._whole_only:
            self._start_over()
        else:
            count = self.partial.block_count
            suspects = {index for index in self.suspects if index < count}
            self._pending = Runs((index, index + 1) for index in suspects)
            self._later = Runs.missing(count, suspects)
        self._changed()

    async def _compare(self, index: int, view: memoryview) -> None:
        self.refetched += len(view)
        if not await self._threads.run(self.partial.matches, index, view):
            await self._threads.run(self.partial.write, index, view)
            self.frontier.rewind(index)

    def _mismatch(self) -> HashMismatch:
        kind, got, wanted = "SHA-256", self.frontier.sha256, self.order.sha256
        if wanted is None:
            kind, got, wanted = "git hash", self.frontier.git_sha1 or "", self.order.git_sha1
        return HashMismatch(
            f"{self.order.path} from {self.origin.host} has the {kind} {got}, expected {wanted}.",
            remedy="Every block was fetched twice, so the host serves other bytes than the pinned ones: "
            "correct the manifest's sha256 if the model was updated, or name another source.",
        )

    def _refuse(self, error: ContentError) -> None:
        """The bytes are provably not the model: they must not be found by the next run, or tried from a mirror."""
        if len(self._origins) > 1:
            self._second_look = False
            self._header_fault = None
            self.origin_failed(error)
        else:
            self.partial.restart()
            self.fail(error)
