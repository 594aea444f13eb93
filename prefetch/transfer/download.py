"""One model on its way: which connections fetch what of it, from which host, and when it is right or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from prefetch.errors import ContentError, PrefetchError, SourceError, TransientError
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

WINDOW = 2
"""How many times as far as all ranges at once reach the first of them may lie back before it is shared out."""
RECOUNTS = 3
"""How often blocks that came differently when they were fetched again are fetched once more, to tell which is right."""


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

    def __init__(self, order: Order, partial: Incoming, means: Means) -> None:
        self.order = order
        self.partial = partial
        self.meter = Speedometer(means.clock())
        self.received_before = 0
        self.resumed = partial.resumed_bytes
        self.generation = 0
        self.worthless = False
        self.error: PrefetchError | None = None
        self.over = asyncio.Event()
        self._means = means
        self._mirrors = Mirrors(order.origins, together=order.digests is not None)
        self.whole_only = partial.size is None or self._mirrors.live[0].ranges is False
        self._listed = Listed(order, means.listener)
        if self.whole_only:
            self._listed.drop()
        self._work = Worklist()
        self._doubted = Runs()
        self._recounts = RECOUNTS
        self._restarts: set[asyncio.Task[None]] = set()
        self._last_byte: float | None = None
        self._assembly = self._new_assembly()

    def _new_assembly(self) -> Assembly | Parcel:
        if isinstance(self.partial, Draft):
            return Parcel(self.partial, Judge(self.order), self._means, complete=self._complete)
        return Assembly(
            self.partial,
            Judge(self.order),
            self._means,
            accepts=self._accepts if self._listed else None,
            missing=self._fetch_again,
            complete=self._complete,
            failed=self._lose,
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
    def hosts(self) -> frozenset[str]:
        """The hosts that are being asked now."""
        return frozenset(origin.host for origin in self._mirrors.live)

    @property
    def hosts_named(self) -> str:
        """The same for a sentence."""
        return self._mirrors.hosts

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
        return bool(self._work) and not self.over.is_set() and self._listed.allows(self._work.first)

    def take(self, length: Callable[[str], int]) -> Segment:
        """The next range to fetch, of at most ``length(host)`` bytes. There must be one: see `has_pending`."""
        origin = self._mirrors.pick(self.segments, but=self._listed.contradicted(self._work.first))
        limit = length(origin.host)
        if not self.whole_only and (late := self._work.halve_straggler(self._window(limit))):
            return self._begin(origin, *late)
        first, last = self._work.next_run(max(1, self.partial.block_count if self.whole_only else limit // BLOCK_SIZE))
        size = self.partial.size
        return self._begin(origin, first * BLOCK_SIZE, None if size is None else min(size, last * BLOCK_SIZE))

    def _window(self, length: int) -> int:
        """How far one range may fall behind where the others are, in bytes."""
        return WINDOW * (len(self.segments) + 1) * length

    def split(self) -> Segment | None:
        """The second half of the longest range in flight, if both halves are worth a request."""
        if self.over.is_set() or self.whole_only:
            return None
        tail = self._work.halve_longest()
        return tail and self._begin(self._mirrors.pick(self.segments), *tail)

    @property
    def is_shared(self) -> bool:
        """Whether several hosts serve it at once."""
        return len(self._mirrors.live) > 1

    def measure(self, now: float) -> None:
        """Take note of what has been received up to ``now``."""
        self.meter.mark(now, self.received)
        self._mirrors.measure(now, self.segments)

    def laggard(self, *, idle: bool) -> Segment | None:
        """A connection that another host would serve far better, if any; see `Mirrors.laggard`."""
        return self._mirrors.laggard(self.segments, idle=idle)

    def flush(self) -> None:
        """Have what was written so far brought to the disk in the background."""
        self._assembly.flush()

    # What a connection tells -------------------------------------------------------------------------------------

    def settle(self, segment: Segment, index: int, length: int) -> None:
        """The segment's buffer holds block ``index`` whole: take it over and bring it to the volume."""
        assert segment.buffer is not None
        buffer, segment.buffer = segment.buffer, None
        self._last_byte = self._means.clock()
        self._assembly.settle(index, buffer, length, segment.origin)
        judge = self._assembly.judge
        if judge.header_fault is not None and not judge.knows_hash:
            self._refuse(judge.header_fault)

    def suspect(self, blocks: list[int]) -> None:
        """The connection that brought these blocks broke, stalled or lagged."""
        self._assembly.judge.suspects.update(blocks)

    def ended(self, segment: Segment) -> None:
        """The segment's connection has ended, with what it brought."""
        self.received_before += segment.received
        self._mirrors.ended(segment.origin, segment.received)

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
        self._means.changed()

    def choose_host(self, segment: Segment) -> None:
        """Have the segment's next connection go to a host that is still asked and did not just fail it."""
        origin = segment.origin
        if origin not in self._mirrors.live or origin in segment.refused_by or origin.pause:
            segment.origin = self._mirrors.pick(self.segments, but=segment.refused_by)

    def host_failed(self, segment: Segment, error: TransientError) -> None:
        """The segment's connection broke: another host is asked first, where there is one that did not fail it."""
        segment.refused_by.add(segment.origin)
        if segment.refused_by >= set(self._mirrors.live):
            segment.refused_by.clear()
        self._mirrors.failed(segment.origin)

    def origin_failed(self, origin: Origin, error: PrefetchError) -> None:
        """A host cannot give the file: go on with the others, or give up."""
        if origin not in self._mirrors.live or self.over.is_set():
            # Another of its connections was first to say so.
            return
        if not self._mirrors.drop(origin):
            self.fail(error)
            return
        self._means.listener(Notice("warning", f"{error.message} {self.order.path} goes on from {self.hosts_named}."))
        if self.whole_only or (isinstance(error, ContentError) and not self._listed):
            self._start_over_beside()
        self.whole_only = self.partial.size is None
        self._work.abandon_connections(of=origin)
        self._means.changed()

    async def read_whole(self, origin: Origin, keeper: Segment | None) -> None:
        """A host sends no ranges: fetch the file over one connection, ``keeper``'s if that reads from the start."""
        if len(self._mirrors.live) > 1:
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

    def _accepts(self, index: int, digest: bytes, origin: Origin) -> bool:
        """Whether to take a block of this digest that came from ``origin``."""
        if self.over.is_set():
            return True
        verdict = self._listed.judge(index, digest, origin, self._mirrors.live)
        if verdict is Verdict.LEAVE:
            self.origin_failed(origin, self._assembly.judge.stranger(origin.host))
            if self.over.is_set():
                self.worthless = not self._listed.any_right
                return False
        if verdict in (Verdict.AGAIN, Verdict.LEAVE):
            self._fetch_again(index)
            return False
        self._means.changed()
        return True

    def _complete(self) -> None:
        assembly = self._assembly
        if self.over.is_set():
            return
        if assembly.judge.is_right(*assembly.hashes):
            if self._listed.is_disputed:
                self._listed.forget("the SHA-256 is right, and they say otherwise")
            if assembly.refetched:
                self._means.listener(Repaired(self.order.path, "transit", assembly.refetched))
            self._tell_verified()
            self._end()
        elif not assembly.doubting:
            self._look_again()
        elif self._work or self.segments or assembly.settling:
            return
        elif self._doubted:
            self._work.set(self._doubted)
            self._doubted = Runs()
            self._means.changed()
        elif self._recounts and (differing := assembly.take_differing()):
            self._recounts -= 1
            self._work.set(differing)
            self._means.changed()
        else:
            self._refuse(self._mismatch())

    def _tell_verified(self) -> None:
        if not isinstance(self.partial, Draft):
            behind = None if self._last_byte is None else self._means.clock() - self._last_byte
            self._means.listener(ModelVerified(self.order.path, self.sha256, behind))

    def _look_again(self) -> None:
        """The hash is wrong and no host tells which block is: fetch them again, the suspicious ones first."""
        judge = self._assembly.judge
        if judge.header_fault is not None:
            self._refuse(judge.header_fault)
            return
        if self.partial.size == 0:
            # There is no block that could be another one.
            self._refuse(self._mismatch())
            return
        if self._listed.is_disputed:
            self._refuse(self._mismatch())
            return
        if self._listed:
            self._listed.forget("every block is what they say, and the SHA-256 of the file is wrong")
        self._assembly.doubting = True
        self._recounts = RECOUNTS
        if self.whole_only:
            self._start_over_beside()
        else:
            suspects, self._doubted = judge.doubted(self.partial.block_count)
            self._work.set(suspects)
            self._assembly.drain()
        self._means.changed()

    def _refuse(self, error: ContentError) -> None:
        """What was received is not the model: try a mirror, or give up and leave nothing to resume."""
        if not self._listed and self._mirrors.has_more:
            self._assembly.doubting = False
            self._assembly.judge = Judge(self.order)
            self.origin_failed(self._mirrors.live[0], error)
        else:
            # With the list, a later run knows which blocks are right.
            self.worthless = not self._listed
            self.fail(error)

    def _mismatch(self) -> ContentError:
        return self._assembly.judge.mismatch(self.hosts_named, *self._assembly.hashes)

    def _start_over_beside(self) -> None:
        task = self._means.spawn(self._start_over(None))
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
            self._means.changed()
