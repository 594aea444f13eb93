"""One model on its way: what its connections bring, and when it is right, fetched again or given up."""

from __future__ import annotations

import asyncio

from prefetch.errors import (
    ContentError,
    Interrupted,
    OutgrownError,
    PatienceError,
    PrefetchError,
    SourceError,
    SpaceError,
    let_frames_go,
)
from prefetch.net.origin import Origin, RangesUnsupported
from prefetch.net.retry import too_slow
from prefetch.report.events import ModelVerified, Notice, Repaired
from prefetch.signals import interrupted
from prefetch.transfer.assembly import Assembly
from prefetch.transfer.expected import Verdict
from prefetch.transfer.judge import Judge
from prefetch.transfer.listed import Listed
from prefetch.transfer.means import Means
from prefetch.transfer.order import Order
from prefetch.transfer.parcel import Parcel
from prefetch.transfer.ranges import Ranges
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.volume.draft import Draft
from prefetch.volume.incoming import Incoming

__all__ = ["Download"]


class Download:
    """The state of one order while it is worked on. All of it belongs to the event loop.

    Attributes:
        ranges: which connection fetches what of it, and from where.
        assembly: what of it is here.
        judge: what speaks against that.
        resumed: bytes an earlier run left.
        generation: grows when everything starts over; what older segments bring is not wanted any more.
        worthless: what was received is provably not the model, so that no later run should resume it.
        rejected: hosts whose file provably has another SHA-256 than the order's, and which.
        over: set once there is nothing left to fetch: the file is verified, or ``error`` says why it never will be.
    """

    def __init__(self, order: Order, partial: Incoming, means: Means) -> None:
        self.order = order
        self.partial = partial
        self.resumed = partial.resumed_bytes
        self.generation = 0
        self.worthless = False
        self.rejected: list[tuple[Origin, str]] = []
        self.error: PrefetchError | None = None
        self.over = asyncio.Event()
        self._means = means
        self._listed = Listed(order, means.listener)
        now, bounds = means.clock(), means.bounds
        self.ranges = Ranges(order, partial, self._listed, over=self.over, now=now, bounds=bounds)
        self._work = self.ranges.work
        if self.ranges.whole_only:
            self._listed.drop()
        self.judge = Judge(order, self._listed)
        self._restarts: set[asyncio.Task[None]] = set()
        self._last_byte: float | None = None
        self.assembly = self._new_assembly()

    def _new_assembly(self) -> Assembly | Parcel:
        git_blob = self.order.git_sha1 is not None
        if isinstance(self.partial, Draft):
            return Parcel(self.partial, self._means, self, git_blob=git_blob)
        return Assembly(self.partial, self._means, self, by_block=bool(self._listed), git_blob=git_blob)

    def begin(self) -> None:
        """Find out what is missing, and start to check what an earlier run left."""
        missing = self.ranges.missing(self._listed.sound(self.partial.claimed))
        if self.ranges.whole_only and missing and self.partial.claimed:
            self._start_over_beside()
        else:
            self._work.set(missing)
        self.assembly.drain()

    # What is known of it from outside ---------------------------------------------------------------------------

    @property
    def sha256(self) -> str:
        """Hex digest of what has been hashed so far: of the whole file when it is verified."""
        return self.assembly.hashes[0]

    @property
    def bytes_here(self) -> int:
        """Bytes that need not be received again, as far as is known."""
        if self.partial.size is None:
            return sum(segment.position for segment in self._work.segments)
        return self.partial.size if self.judge.doubting else max(0, self.partial.size - self._work.bytes_wanted)

    # What a connection tells -------------------------------------------------------------------------------------

    def settle(self, segment: Segment, index: int, length: int) -> None:
        """The segment's buffer holds block ``index`` whole: take it over and bring it to the volume."""
        assert segment.buffer is not None
        if not segment.wanted:
            # It may be of another host than what is fetched now.
            return
        if index == 0:
            self.judge.look_at(memoryview(segment.buffer)[:length])
        if (refusal := self.judge.refusal(self.partial.size)) is not None:
            self._refuse(refusal)
            return
        if self.judge.doubting:
            self.judge.refetched += length
        buffer, segment.buffer = segment.buffer, None
        self._last_byte = self._means.clock()
        self.assembly.settle(index, buffer, length, segment.origin)

    def release(self, segment: Segment) -> None:
        """A connection is done with ``segment``: what it did not bring is to be fetched by another one."""
        self._work.segments.discard(segment)
        self._drop_buffer(segment)
        if segment.wanted and not segment.finished:
            if self.ranges.whole_only:
                self._start_over_beside()
            else:
                self.ranges.give_back(segment)
        if self.judge.doubting:
            self.assembly.drain()
        self._means.changed()

    def origin_failed(self, origin: Origin, error: PrefetchError) -> None:
        """A host cannot give the file: go on with the others, or give up."""
        if origin not in self.ranges.mirrors.live or self.over.is_set():
            # Another of its connections was first to say so.
            return
        if not self._goes_on_without(origin, error):
            return
        self._means.listener(
            Notice("warning", f"{error.message} {self.order.path} goes on from {self.ranges.mirrors.hosts}.")
        )
        if self.ranges.whole_only or (isinstance(error, ContentError) and not self._listed):
            self.judge = Judge(self.order, self._listed)
            self._start_over_beside()
        self.ranges.host_left()
        self._work.abandon_connections(of=origin)
        self._means.changed()

    def _goes_on_without(self, origin: Origin, error: PrefetchError) -> bool:
        """Whether other hosts are asked instead of ``origin``. Without any, it is waited for, or the download fails."""
        mirrors, now = self.ranges.mirrors, self._means.clock()
        costly = isinstance(error, PatienceError)
        if costly and mirrors.waits_for(origin, now):
            # Another of its connections was refused for the same pause.
            return False
        if not (mirrors.set_aside(origin, now) if costly else mirrors.drop(origin)):
            self.fail(error)
        elif origin in mirrors.live:
            text = f"{self.order.path}: {error.message} It is asked again in {origin.pause:.0f} s."
            self._means.listener(Notice("warning", text))
        return origin not in mirrors.live

    def give_slow_hosts_up(self, seconds: float) -> None:
        """Ask no host any longer that has brought next to nothing for too long, these last ``seconds`` included."""
        origin = self.ranges.mirrors.overdrawn(self._work.segments, seconds)
        if origin is not None:
            error = too_slow(origin.host, self.order.path, self._means.bounds)
            if pause := origin.pause:
                error = PatienceError(f"{origin.host} takes no request for {pause:.0f} s.", cause="pause", floor=pause)
            self.origin_failed(origin, error)

    async def read_whole(self, origin: Origin, keeper: Segment | None, why: RangesUnsupported) -> None:
        """A host's ranges make no file: fetch it over one connection, ``keeper``'s if that reads from the start."""
        if self.ranges.mirrors.is_shared:
            self.origin_failed(origin, SourceError(f"{why.why}."))
        elif not self.ranges.whole_only:
            self.ranges.whole_because = why.why
            if why.told:
                self._means.listener(Notice("warning", _one_answer(self.order.path, why.why)))
                self.partial.forget_validator()
            self._listed.drop()
            self._work.abandon_connections(but=keeper)
            if keeper is None or keeper.stop != self.partial.size:
                await self._start_over(keeper)

    async def restart(self, segment: Segment) -> None:
        """The connection that reads the whole file broke: the next one has to begin at the start."""
        segment.position = 0
        self._drop_buffer(segment)
        await self._start_over(segment)

    def interrupt(self) -> None:
        """The whole run was stopped."""
        self.fail(self.interruption())

    def interruption(self) -> Interrupted:
        """The error of a download that was stopped, with why the next one cannot go on from what is here."""
        if isinstance(self.partial, Draft) or not self.partial.claimed:
            return interrupted()
        host = self.ranges.mirrors.hosts
        unknown = "" if self.partial.identity.resumable else f"{host} tells neither its hash nor a strong ETag"
        return interrupted({self.order.path: self.ranges.whole_because or unknown})

    def fail(self, error: PrefetchError) -> None:
        """Give the download up. What is on the volume stays for the next run."""
        if not self.over.is_set():
            let_frames_go(error)
            self.error = error
            # Of a file without an end, nothing may stay: it would hold all the room there is, and not be resumed.
            endless = isinstance(error, SpaceError) and self.partial.identity.size is None
            self.worthless = self.worthless or endless
            self._end()

    async def until_settled(self) -> None:
        """Wait until nothing reads or writes the file any more."""
        while self._restarts:
            await asyncio.wait(self._restarts)
        await self.assembly.quiet()

    # What the assembly tells -------------------------------------------------------------------------------------

    def accepts(self, index: int, digest: bytes, origin: Origin) -> bool:
        """Whether to take a block of this digest that came from ``origin``."""
        if self.over.is_set():
            return True
        verdict = self._listed.judge(index, digest, origin, self.ranges.mirrors.live)
        if verdict is Verdict.LEAVE:
            self.origin_failed(origin, self.judge.stranger(origin.host))
            if self.over.is_set():
                self.worthless = not self._listed.any_right
                return False
        if verdict in (Verdict.AGAIN, Verdict.LEAVE):
            self.judge.refetched += self.partial.block_length(index)
            self.fetch_again(index)
            return False
        self._means.changed()
        return True

    def fetch_again(self, index: int) -> None:
        """Block ``index`` is not here any more."""
        self._work.add(index, index + 1)
        self._means.changed()

    def differs(self, index: int) -> None:
        """Block ``index`` came otherwise than it was here."""
        self.judge.differs(index)

    def complete(self) -> None:
        """All of the file is here and hashed."""
        if self.over.is_set():
            return
        if self.judge.is_right(self.assembly.hashes):
            # Where no host told the size, only now is it known what the header should describe.
            if (refusal := self.judge.refusal(self.partial.size)) is not None:
                self._refuse(refusal)
            else:
                self._verified()
        elif not self._awaits_more:
            self._doubt()

    def lose(self, error: PrefetchError) -> None:
        """The volume failed, perhaps after the file was verified: then what was verified may not be there."""
        if isinstance(error, OutgrownError) and not self.over.is_set():
            # A host without an end to what it sends; blocks of it that were on their way may be told of once more.
            if not self._restarts:
                self.origin_failed(self.ranges.mirrors.live[0], error)
            return
        self.fail(error)
        self.error = self.error or error

    # Inside ------------------------------------------------------------------------------------------------------

    def _drop_buffer(self, segment: Segment) -> None:
        if segment.buffer is not None:
            self._means.buffers.release(segment.buffer)
            segment.buffer = None

    def _end(self) -> None:
        self.over.set()
        self.assembly.retire()
        self._work.abandon_connections()
        self._means.changed()

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
        if await self.assembly.restart():
            self.judge.started_over()
            if keeper is None:
                self._work.set(self.ranges.missing(()))
            self._means.changed()

    # Right or wrong ----------------------------------------------------------------------------------------------

    @property
    def _awaits_more(self) -> bool:
        """Whether it is too early to doubt what is here, or to doubt it once more."""
        if self._restarts:
            return True
        return self.judge.doubting and bool(self._work or self._work.segments or self.assembly.settling)

    def _verified(self) -> None:
        if self._listed.is_disputed:
            self._listed.forget("the SHA-256 is right, and they say otherwise")
        if self.judge.refetched:
            self._means.listener(Repaired(self.order.path, "transit", self.judge.refetched))
        if not isinstance(self.partial, Draft):
            behind = None if self._last_byte is None else self._means.clock() - self._last_byte
            self._means.listener(ModelVerified(self.order.path, self.sha256, behind))
        self._end()

    def _doubt(self) -> None:
        """The hash is wrong, and no host tells which block is."""
        # What comes again takes a buffer: all of them may be waiting for one.
        self.assembly.put_away()
        try:
            again = self.judge.doubt(
                self.partial.block_count,
                self.assembly.hashes,
                size=self.partial.size or 0,
                host=self.ranges.mirrors.hosts,
            )
        except ContentError as error:
            self._refuse(error)
            return
        if self.ranges.whole_only:
            self._start_over_beside()
        else:
            self._work.set(again)
        self._means.changed()

    def _refuse(self, error: ContentError) -> None:
        """What was received is not the model: try a mirror, or give up and leave nothing to resume."""
        if self.judge.proven and self.order.digests is None:
            # Without block digests all of it is of one host.
            self.rejected.append((self.ranges.mirrors.live[0], self.sha256))
        if not self._listed and self.ranges.mirrors.has_more:
            self.origin_failed(self.ranges.mirrors.live[0], error)
        else:
            # With the list, a later run knows which blocks are right.
            self.worthless = not self._listed
            self.fail(error)


def _one_answer(path: str, why: str) -> str:
    return (
        f"{path}: {why}, so it is read over one connection, and starts over where that breaks. With its sha256 in the "
        "manifest it would not."
    )
