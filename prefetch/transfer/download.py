"""One model on its way: which connections fetch what of it, from which host, and when it is right or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from prefetch.errors import ContentError, PrefetchError, SourceError
from prefetch.net.origin import Origin
from prefetch.report.events import ModelVerified, Notice, Repaired
from prefetch.transfer.assembly import Assembly
from prefetch.transfer.expected import Verdict
from prefetch.transfer.judge import Judge
from prefetch.transfer.listed import Listed
from prefetch.transfer.means import Means
from prefetch.transfer.mirrors import Mirrors
from prefetch.transfer.order import Order
from prefetch.transfer.parcel import Parcel
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Speedometer
from prefetch.transfer.worklist import Worklist
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.draft import Draft
from prefetch.volume.incoming import Incoming

__all__ = ["Download"]


class Download:
    """The state of one order while it is worked on. All of it belongs to the event loop.

    Attributes:
        mirrors: the hosts it comes from.
        received_before: bytes of body received over connections that have ended.
        resumed: bytes an earlier run left.
        generation: grows when everything starts over; what older segments bring is not wanted any more.
        whole_only: the host sends no ranges, so one connection fetches the file from its start to its end.
        worthless: what was received is provably not the model, so that no later run should resume it.
        over: set once there is nothing left to fetch: the file is verified, or ``error`` says why it never will be.
    """

    def __init__(self, order: Order, partial: Incoming, means: Means) -> None:
        self.order = order
        self.partial = partial
        self.mirrors = Mirrors(order.origins, together=order.digests is not None)
        self.meter = Speedometer(means.clock())
        self.received_before = 0
        self.resumed = partial.resumed_bytes
        self.generation = 0
        self.whole_only = partial.size is None or self.mirrors.live[0].ranges is False
        self.worthless = False
        self.error: PrefetchError | None = None
        self.over = asyncio.Event()
        self._means = means
        self._listed = Listed(order, means.listener)
        if self.whole_only:
            self._listed.drop()
        self._judge = Judge(order, self._listed)
        self._work = Worklist()
        self._restarts: set[asyncio.Task[None]] = set()
        self._last_byte: float | None = None
        self._assembly = self._new_assembly()

    def _new_assembly(self) -> Assembly | Parcel:
        git_blob = self.order.git_sha1 is not None
        if isinstance(self.partial, Draft):
            return Parcel(self.partial, self._means, differs=self._differs, complete=self._complete, git_blob=git_blob)
        return Assembly(
            self.partial,
            self._means,
            accepts=self._accepts if self._listed else None,
            missing=self._fetch_again,
            differs=self._differs,
            complete=self._complete,
            failed=self._lose,
            git_blob=git_blob,
        )

    def begin(self) -> None:
        """Find out what is missing, and start to check what an earlier run left."""
        missing = self._missing_of(self._listed.sound(self.partial.claimed))
        if self.whole_only and missing and self.partial.claimed:
            self._start_over_beside()
        else:
            self._work.set(missing)
        self._assembly.drain()

    # What the scheduler and the watch ask ------------------------------------------------------------------------

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
        return self.partial.size if self._judge.doubting else max(0, self.partial.size - self.bytes_wanted)

    @property
    def bytes_hashed(self) -> int:
        """Bytes from the file's start that have been hashed."""
        return self._assembly.bytes_hashed

    @property
    def has_pending(self) -> bool:
        """Whether another connection could help."""
        return bool(self._work) and not self.over.is_set() and self._listed.allows(self._work.first)

    def take(self, length: Callable[[str], int]) -> Segment:
        """The next range to fetch, of at most ``length(host)`` bytes. There must be one: see `has_pending`."""
        origin = self.mirrors.pick(self.segments, but=self._listed.contradicted(self._work.first))
        limit = self.partial.block_count * BLOCK_SIZE if self.whole_only else length(origin.host)
        return self._begin(origin, *self._work.next_range(limit, self.partial.size))

    def split(self) -> Segment | None:
        """The second half of the longest range in flight, if both halves are worth a request."""
        if self.over.is_set() or self.whole_only:
            return None
        tail = self._work.halve_longest()
        return tail and self._begin(self.mirrors.pick(self.segments), *tail)

    def measure(self, now: float) -> None:
        """Take note of what has been received up to ``now``."""
        self.meter.mark(now, self.received)
        self.mirrors.measure(now, self.segments)

    def flush(self) -> None:
        """Have what was written so far brought to the disk in the background."""
        self._assembly.flush()

    # What a connection tells -------------------------------------------------------------------------------------

    def settle(self, segment: Segment, index: int, length: int) -> None:
        """The segment's buffer holds block ``index`` whole: take it over and bring it to the volume."""
        assert segment.buffer is not None
        if index == 0:
            self._judge.look_at(memoryview(segment.buffer)[:length], self.partial.size)
        if self._judge.refusal is not None:
            self._refuse(self._judge.refusal)
            return
        if self._judge.doubting:
            self._judge.refetched += length
        buffer, segment.buffer = segment.buffer, None
        self._last_byte = self._means.clock()
        self._assembly.settle(index, buffer, length, segment.origin)

    def suspect(self, blocks: list[int]) -> None:
        """The connection that brought these blocks broke, stalled or lagged."""
        self._judge.suspect(blocks)

    def ended(self, segment: Segment) -> None:
        """The segment's connection has ended, with what it brought."""
        self.received_before += segment.received
        self.mirrors.ended(segment.origin, segment.received)

    def release(self, segment: Segment) -> None:
        """A connection is done with ``segment``: what it did not bring is to be fetched by another one."""
        self.segments.discard(segment)
        self._drop_buffer(segment)
        if segment.wanted and not segment.finished:
            if self.whole_only:
                self._start_over_beside()
            elif segment.stop is not None:
                self._work.add(segment.position // BLOCK_SIZE, -(-segment.stop // BLOCK_SIZE))
        if self._judge.doubting:
            self._assembly.drain()
        self._means.changed()

    def origin_failed(self, origin: Origin, error: PrefetchError) -> None:
        """A host cannot give the file: go on with the others, or give up."""
        if origin not in self.mirrors.live or self.over.is_set():
            # Another of its connections was first to say so.
            return
        if not self.mirrors.drop(origin):
            self.fail(error)
            return
        self._means.listener(Notice("warning", f"{error.message} {self.order.path} goes on from {self.mirrors.hosts}."))
        if self.whole_only or (isinstance(error, ContentError) and not self._listed):
            self._judge = Judge(self.order, self._listed)
            self._start_over_beside()
        self.whole_only = self.partial.identity.size is None
        self._work.abandon_connections(of=origin)
        self._means.changed()

    async def read_whole(self, origin: Origin, keeper: Segment | None) -> None:
        """A host sends no ranges: fetch the file over one connection, ``keeper``'s if that reads from the start."""
        if self.mirrors.is_shared:
            self.origin_failed(origin, SourceError(f"{origin.host} sends no ranges."))
        elif not self.whole_only:
            self.whole_only = True
            self._listed.drop()
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

    def _begin(self, origin: Origin, start: int, stop: int | None) -> Segment:
        segment = Segment(self, origin, start, stop)
        self.segments.add(segment)
        return segment

    def _drop_buffer(self, segment: Segment) -> None:
        if segment.buffer is not None:
            self._means.buffers.release(segment.buffer)
            segment.buffer = None

    def _lose(self, error: PrefetchError) -> None:
        """The volume failed, perhaps after the file was verified: then what was verified may not be there."""
        self.fail(error)
        self.error = self.error or error

    def _end(self) -> None:
        self.over.set()
        self._assembly.retire()
        self._work.abandon_connections()
        self._means.changed()

    def _fetch_again(self, index: int) -> None:
        self._work.add(index, index + 1)
        self._means.changed()

    def _differs(self, index: int) -> None:
        self._judge.differs(index)

    def _accepts(self, index: int, digest: bytes, origin: Origin) -> bool:
        """Whether to take a block of this digest that came from ``origin``."""
        if self.over.is_set():
            return True
        verdict = self._listed.judge(index, digest, origin, self.mirrors.live)
        if verdict is Verdict.LEAVE:
            self.origin_failed(origin, self._judge.stranger(origin.host))
            if self.over.is_set():
                self.worthless = not self._listed.any_right
                return False
        if verdict in (Verdict.AGAIN, Verdict.LEAVE):
            self._judge.refetched += self.partial.block_length(index)
            self._fetch_again(index)
            return False
        self._means.changed()
        return True

    def _complete(self) -> None:
        """All of the file is here and hashed."""
        if self.over.is_set():
            return
        if self._judge.is_right(self._assembly.hashes):
            self._verified()
        elif not (self._judge.doubting and (self._work or self.segments or self._assembly.settling)):
            self._doubt()

    def _verified(self) -> None:
        if self._listed.is_disputed:
            self._listed.forget("the SHA-256 is right, and they say otherwise")
        if self._judge.refetched:
            self._means.listener(Repaired(self.order.path, "transit", self._judge.refetched))
        if not isinstance(self.partial, Draft):
            behind = None if self._last_byte is None else self._means.clock() - self._last_byte
            self._means.listener(ModelVerified(self.order.path, self.sha256, behind))
        self._end()

    def _doubt(self) -> None:
        """The hash is wrong, and no host tells which block is."""
        # What comes again takes a buffer: all of them may be waiting for one.
        self._assembly.put_away()
        try:
            again = self._judge.doubt(self.partial.block_count, self._assembly.hashes, host=self.mirrors.hosts)
        except ContentError as error:
            self._refuse(error)
            return
        if self.whole_only:
            self._start_over_beside()
        else:
            self._work.set(again)
        self._means.changed()

    def _refuse(self, error: ContentError) -> None:
        """What was received is not the model: try a mirror, or give up and leave nothing to resume."""
        if not self._listed and self.mirrors.has_more:
            self.origin_failed(self.mirrors.live[0], error)
        else:
            # With the list, a later run knows which blocks are right.
            self.worthless = not self._listed
            self.fail(error)

    def _start_over_beside(self) -> None:
        task = self._means.spawn(self._start_over(None))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _start_over(self, keeper: Segment | None) -> None:
        """Drop every byte that is here; ``keeper``, which is at the file's start, goes on to fetch all of it."""
        self.generation += 1
        self._work.set(Runs())
        if keeper is not None:
            keeper.generation = self.generation
            keeper.stop = self.partial.identity.size
        if await self._assembly.restart():
            self._judge.started_over()
            if keeper is None:
                self._work.set(self._missing_of(()))
            self._means.changed()
