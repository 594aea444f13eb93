"""One model on its way: which connections fetch what of it, from which host, and when it is right or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from prefetch.errors import ContentError, PrefetchError
from prefetch.net.origin import Origin
from prefetch.report.events import Listener, ModelVerified, Repaired
from prefetch.transfer.assembly import Assembly
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.flow import Flow
from prefetch.transfer.judge import Judge
from prefetch.transfer.order import Order
from prefetch.transfer.parcel import Parcel
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Speedometer
from prefetch.transfer.threads import Spawn, Threads
from prefetch.transfer.worklist import Worklist
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.draft import Draft
from prefetch.volume.incoming import Incoming

__all__ = ["Download"]


class Download:
    """The state of one order while it is worked on. All of it belongs to the event loop.

    Attributes:
        received_before: bytes of body received over connections that have ended.
        resumed: bytes an earlier run left.
        generation: grows when everything starts over; what older segments bring is not wanted any more.
        whole_only: the host sends no ranges, so one connection fetches the file from its start to its end.
        worthless: what was received is provably not the model, so that no later run should resume it.
        over: set once there is nothing left to fetch: the file is verified, or ``error`` says why it never will be.
    """

    def __init__(
        self,
        order: Order,
        partial: Incoming,
        *,
        threads: Threads,
        buffers: Buffers,
        flow: Flow,
        spawn: Spawn,
        meter: Speedometer,
        listener: Listener,
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.order = order
        self.partial = partial
        self.meter = meter
        self.received_before = 0
        self.resumed = partial.resumed_bytes
        self.generation = 0
        self.whole_only = partial.size is None or order.origins[0].ranges is False
        self.worthless = False
        self.error: PrefetchError | None = None
        self.over = asyncio.Event()
        self._origins = list(order.origins)
        self._work = Worklist()
        self._doubted = Runs()
        self._restarts: set[asyncio.Task[None]] = set()
        self._buffers = buffers
        self._spawn = spawn
        self._listener = listener
        self._changed = changed
        self._clock = clock
        self._last_byte: float | None = None
        self._assembly: Assembly | Parcel
        if isinstance(partial, Draft):
            self._assembly = Parcel(
                partial,
                Judge(order),
                threads=threads,
                buffers=buffers,
                flow=flow,
                spawn=spawn,
                complete=self._complete,
            )
            return
        self._assembly = Assembly(
            partial,
            Judge(order),
            threads=threads,
            buffers=buffers,
            flow=flow,
            spawn=spawn,
            listener=listener,
            missing=self._fetch_again,
            complete=self._complete,
            failed=self.fail,
        )

    def begin(self) -> None:
        """Find out what is missing, and start to check what an earlier run left."""
        missing = self._missing_of(self.partial.claimed)
        if self.whole_only and missing and self.partial.claimed:
            self._start_over_beside()
        else:
            self._work.set(missing)
        self._assembly.drain()

    # What the scheduler and the watch ask ------------------------------------------------------------------------

    @property
    def origin(self) -> Origin:
        """The host that is being asked now."""
        return self._origins[0]

    @property
    def segments(self) -> set[Segment]:
        """Ranges that connections are fetching now."""
        return self._work.segments

    @property
    def received(self) -> int:
        """Bytes of body received so far."""
        return self.received_before + sum(segment.received for segment in self.segments)

    @property
    def sha256(self) -> str:
        """Hex digest of what has been hashed so far: of the whole file when it is verified."""
        return self._assembly.hashes[0]

    @property
    def bytes_wanted(self) -> int:
        """Bytes still to be received, by which connections are shared out."""
        return self._work.bytes_wanted

    @property
    def bytes_here(self) -> int:
        """Bytes that need not be received again, as far as is known."""
        if self.partial.size is None:
            return sum(segment.position for segment in self.segments)
        return self.partial.size if self._assembly.doubting else max(0, self.partial.size - self.bytes_wanted)

    @property
    def bytes_hashed(self) -> int:
        """Bytes from the file's start that have been hashed."""
        return self._assembly.bytes_hashed

    @property
    def has_pending(self) -> bool:
        """Whether another connection could help."""
        return bool(self._work) and not self.over.is_set()

    def take(self, length: int) -> Segment:
        """The next range to fetch, of at most ``length`` bytes. There must be one: see `has_pending`."""
        limit = self.partial.block_count if self.whole_only else length // BLOCK_SIZE
        first, last = self._work.next_run(max(1, limit))
        size = self.partial.size
        return self._begin(first * BLOCK_SIZE, None if size is None else min(size, last * BLOCK_SIZE))

    def split(self, at_least: int) -> Segment | None:
        """The second half of the longest range in flight, if both halves keep ``at_least`` bytes."""
        if self.over.is_set() or self.whole_only:
            return None
        tail = self._work.halve_longest(at_least)
        return tail and self._begin(*tail)

    def flush(self) -> None:
        """Have what was written so far brought to the disk in the background."""
        self._assembly.flush()

    # What a connection tells -------------------------------------------------------------------------------------

    def settle(self, segment: Segment, index: int, length: int) -> None:
        """The segment's buffer holds block ``index`` whole: take it over and bring it to the volume."""
        assert segment.buffer is not None
        buffer, segment.buffer = segment.buffer, None
        self._last_byte = self._clock()
        self._assembly.settle(index, buffer, length)
        judge = self._assembly.judge
        if judge.header_fault is not None and not judge.knows_hash:
            self._refuse(judge.header_fault)

    def suspect(self, blocks: list[int]) -> None:
        """The connection that brought these blocks broke, stalled or lagged."""
        self._assembly.judge.suspects.update(blocks)

    def release(self, segment: Segment) -> None:
        """A connection is done with ``segment``: what it did not bring is to be fetched by another one."""
        self.segments.discard(segment)
        self._drop_buffer(segment)
        if segment.wanted and not segment.finished:
            if self.whole_only:
                self._start_over_beside()
            elif segment.stop is not None:
                self._work.add(segment.position // BLOCK_SIZE, -(-segment.stop // BLOCK_SIZE))
        if self._assembly.doubting:
            self._assembly.drain()
        self._changed()

    def origin_failed(self, error: PrefetchError) -> None:
        """The present host cannot give the file: go on with the next mirror, or give up."""
        if len(self._origins) == 1:
            self.fail(error)
            return
        del self._origins[0]
        if self.whole_only or isinstance(error, ContentError):
            self._start_over_beside()
        self.whole_only = self.partial.size is None
        self._work.abandon_connections()
        self._changed()

    async def read_whole(self, keeper: Segment | None) -> None:
        """The host sends no ranges: fetch the file over one connection, ``keeper``'s if that reads from the start."""
        if not self.whole_only:
            self.whole_only = True
            self._work.abandon_connections(but=keeper)
            await self._start_over(keeper)

    async def restart(self, segment: Segment) -> None:
        """The connection that reads the whole file broke: the next one has to begin at the start."""
        segment.position = 0
        self._drop_buffer(segment)
        await self._start_over(segment)

    async def learn_size(self, size: int) -> None:
        """The end of a file of unknown size was reached."""
        await self._assembly.learn_size(size)

    def fail(self, error: PrefetchError) -> None:
        """Give the download up. What is on the volume stays for the next run."""
        if not self.over.is_set():
            self.error = error
            self._end()

    async def until_settled(self) -> None:
        """Wait until nothing reads or writes the file any more."""
        while self._restarts:
            await asyncio.wait(self._restarts)
        await self._assembly.quiet()

    def put_away(self) -> None:
        """The file has its name, or never will have one."""
        self._assembly.put_away()

    # Inside ------------------------------------------------------------------------------------------------------

    def _missing_of(self, present: Container[int]) -> Runs:
        if self.partial.size == 0:
            return Runs()
        return Runs.missing(max(1, self.partial.block_count), present)

    def _begin(self, start: int, stop: int | None) -> Segment:
        segment = Segment(self, start, stop)
        self.segments.add(segment)
        return segment

    def _drop_buffer(self, segment: Segment) -> None:
        if segment.buffer is not None:
            self._buffers.release(segment.buffer)
            segment.buffer = None

    def _end(self) -> None:
        self.over.set()
        self._assembly.retire()
        self._work.abandon_connections()
        self._changed()

    def _fetch_again(self, index: int) -> None:
        self._work.add(index, index + 1)
        self._changed()

    def _complete(self) -> None:
        assembly = self._assembly
        if self.over.is_set():
            return
        if assembly.judge.is_right(*assembly.hashes):
            if assembly.refetched:
                self._listener(Repaired(self.order.path, "transit", assembly.refetched))
            self._tell_verified()
            self._end()
        elif not assembly.doubting:
            self._look_again()
        elif self._work or self.segments or assembly.settling:
            return
        elif self._doubted:
            self._work.set(self._doubted)
            self._doubted = Runs()
            self._changed()
        else:
            self._refuse(assembly.judge.mismatch(self.origin.host, *assembly.hashes))

    def _tell_verified(self) -> None:
        if not isinstance(self.partial, Draft):
            behind = None if self._last_byte is None else self._clock() - self._last_byte
            self._listener(ModelVerified(self.order.path, self.sha256, behind))

    def _look_again(self) -> None:
        """The hash is wrong and no host tells which block is: fetch them again, the suspicious ones first."""
        judge = self._assembly.judge
        if judge.header_fault is not None:
            self._refuse(judge.header_fault)
            return
        self._assembly.doubting = True
        if self.whole_only:
            self._start_over_beside()
        else:
            suspects, self._doubted = judge.doubted(self.partial.block_count)
            self._work.set(suspects)
            self._assembly.drain()
        self._changed()

    def _refuse(self, error: ContentError) -> None:
        """What was received is not the model: try a mirror, or give up and leave nothing to resume."""
        if len(self._origins) > 1:
            self._assembly.doubting = False
            self._assembly.judge = Judge(self.order)
            self.origin_failed(error)
        else:
            self.worthless = True
            self.fail(error)

    def _start_over_beside(self) -> None:
        task = self._spawn(self._start_over(None))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _start_over(self, keeper: Segment | None) -> None:
        """Drop every byte that is here; ``keeper``, which is at the file's start, goes on to fetch all of it."""
        self.generation += 1
        self._work.set(Runs())
        self._doubted = Runs()
        if keeper is not None:
            keeper.generation = self.generation
            keeper.stop = self.partial.identity.size
        if await self._assembly.restart():
            if keeper is None:
                self._work.set(self._missing_of(()))
            self._changed()
