"""Reading the whole volume again, evenly over days: a bit that a disk has turned is found before a model is loaded."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate

from prefetch.errors import PrefetchError
from prefetch.net.daemon import in_daemon_thread
from prefetch.report.events import Listener, Notice
from prefetch.report.humanize import count, size
from prefetch.verification import Subject, Verdict, verify
from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE, block_count, block_length
from prefetch.volume.hashing import block_digest
from prefetch.volume.inventory import Inventory, Record, matches
from prefetch.volume.layout import Volume
from prefetch.volume.scrubbing import Round, read_round, write_round

__all__ = ["DAY", "Read", "Scrub", "pace"]

DAY = 86_400.0
FASTEST = 4.0
"""How many times the even pace is read at most, to make up for the time in which nobody read."""
STEP = 1.0
"""Seconds between two readings where blocks are due more often than that."""
LOOKED_UP = 600.0
"""Seconds for which the list of models is taken to be current."""
PAUSE = 60.0


@dataclass(slots=True)
class Read:
    """What a step came to.

    Attributes:
        pause: seconds until the next one.
        bytes: how many were read.
        damaged: what was found.
        round: how many models and bytes the round had that is over now; None if it is not.
    """

    pause: float = PAUSE
    bytes: int = 0
    damaged: list[Verdict] = field(default_factory=list)
    round: tuple[int, int] | None = None


def pace(total: int, done: int, *, left: float, period: float) -> float:
    """Bytes a second: what is left in the time that is left, within `FASTEST` times the even pace.

    Args:
        left: seconds until the round should be over.
        period: seconds for the whole of it.
    """
    even = total / period
    needed = (total - done) / left if left > 0 else float("inf")
    return min(max(even, needed), FASTEST * even)


class Scrub:
    """Reads what is due, block by block, and compares it with the digests in the records.

    Args:
        open_volume: opens the volume anew for each step, for it may be mounted anew.
        period: seconds for the whole volume.
        busy: whether there is something better to do.
        found: told of every step.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        open_volume: Callable[[], Volume],
        *,
        period: float,
        busy: Callable[[], bool],
        found: Callable[[Read], None],
        listener: Listener,
        clock: Callable[[], float] = time.time,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._open = open_volume
        self._period = period
        self._busy = busy
        self._found = found
        self._listener = listener
        self._clock = clock
        self._uniform = uniform
        self._shelf = _Shelf([])
        self._looked_up = float("-inf")
        self._failure = ""

    async def run(self) -> None:
        """Read for ever."""
        while True:
            pause = STEP if self._busy() else await self._read()
            # Not at the same moment as the others who read here.
            await asyncio.sleep(min(pause, PAUSE) * (1 + self._uniform() / 10))

    async def _read(self) -> float:
        try:
            read = await in_daemon_thread(self.step, name="scrub")
        except PrefetchError as error:
            if str(error) != self._failure:
                self._listener(Notice("warning", f"The volume cannot be read again for now. {error}"))
            self._failure = str(error)
            return PAUSE
        self._failure = ""
        if read.round is not None:
            models, total = read.round
            self._listener(Notice("info", f"The whole volume was read again: {count(models, 'model')}, {size(total)}."))
        self._found(read)
        return read.pause

    def step(self) -> Read:
        """Read what is due. Blocking; raises an error of ours."""
        volume, now = self._open(), self._clock()
        if now - self._looked_up > LOOKED_UP:
            self._shelf, self._looked_up = _Shelf(list(Inventory(volume).all())), now
        shelf, state = self._shelf, read_round(volume)
        if not shelf.total:
            self._looked_up = float("-inf")
            return Read()
        if state is None or max(state.began_ms, state.due_ms) / 1000 > now + self._period:
            # A clock was wrong once, or somebody has written there.
            state = Round(_ms(now), _ms(now))
        if (wait := state.due_ms / 1000 - now) > 0:
            return Read(min(wait, self._period))
        place = _Place.of(shelf, state)
        return self._end(state, volume, now) if place.record is None else self._go_on(place, state, volume, now)

    def _end(self, state: Round, volume: Volume, now: float) -> Read:
        """Whoever is ahead of the pace waits for the next round to begin."""
        begins = max(now, state.began_ms / 1000 + self._period)
        write_round(volume, Round(_ms(begins), _ms(begins)))
        return Read(begins - now, round=(len(self._shelf.records), self._shelf.total))

    def _go_on(self, place: _Place, state: Round, volume: Volume, now: float) -> Read:
        shelf, inventory = self._shelf, Inventory(volume)
        left = state.began_ms / 1000 + self._period - now
        speed = pace(shelf.total, place.done, left=left, period=self._period)
        read, due = Read(), max(BLOCK_SIZE, speed * STEP)
        while (record := place.record) is not None and read.bytes < due:
            if not self._is_judged(record, volume):
                place = _Place.at(shelf, place.index + 1, 0)
                continue
            self._check(record, place.block, volume, inventory, read.damaged, speed)
            read.bytes += block_length(record.size, place.block)
            place = place.next(shelf)
        read.pause = read.bytes / speed
        path = "\U0010ffff" if place.record is None else place.record.path
        write_round(volume, Round(state.began_ms, _ms(now + read.pause), path, place.block))
        return read

    def _is_judged(self, record: Record, volume: Volume) -> bool:
        """Whether this is the recorded file, as far as can be told without reading it, and not known to be damaged."""
        stat = volume.stat(record.path)
        if stat is not None and matches(record, stat) and not record.suspect:
            return True
        self._looked_up = float("-inf")
        return False

    def _check(
        self, record: Record, block: int, volume: Volume, inventory: Inventory, damaged: list[Verdict], speed: float
    ) -> None:
        """Read one block, or of a large model without digests everything when its first one is due."""
        digests = inventory.digests(record.path)
        if digests is None and record.size > BLOCK_SIZE:
            if block == 0:
                self._judge(record, volume, damaged, slowly=speed)
            return
        expected = None if digests is None else digests[block * DIGEST_SIZE :][:DIGEST_SIZE]
        if not _is_sound(record, block, expected, volume):
            self._judge(record, volume, damaged)

    def _judge(self, record: Record, volume: Volume, damaged: list[Verdict], *, slowly: float | None = None) -> None:
        """Read all of a model as `verify` does, which notes what is wrong for the next run."""
        inventory = Inventory(volume)
        if inventory.get(record.path) != record:
            # Somebody has put another file there meanwhile.
            self._looked_up = float("-inf")
            return

        def linger(done: int) -> None:
            if slowly is not None:
                time.sleep(BLOCK_SIZE / slowly)

        verdict = verify(Subject(record.path, None, record), volume, inventory, progress=linger)
        if verdict.status in ("corrupt", "changed"):
            self._looked_up = float("-inf")
            damaged.append(verdict)


class _Shelf:
    """The models in the order in which they are read, and how many bytes come before each."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = sorted((record for record in records if record.size), key=lambda record: record.path)
        self.before = [0, *accumulate(record.size for record in self.records)]
        self.total = self.before[-1]


@dataclass(frozen=True, slots=True)
class _Place:
    """A block of a model; ``record`` is None behind the last one. ``done`` bytes come before it."""

    index: int
    record: Record | None
    block: int
    done: int

    @classmethod
    def at(cls, shelf: _Shelf, index: int, block: int) -> _Place:
        record = shelf.records[index] if index < len(shelf.records) else None
        return cls(index, record, block, shelf.before[index] + block * BLOCK_SIZE)

    @classmethod
    def of(cls, shelf: _Shelf, state: Round) -> _Place:
        """Where a round goes on."""
        index = bisect_left(shelf.records, state.path, key=lambda record: record.path)
        same = index < len(shelf.records) and shelf.records[index].path == state.path
        place = cls.at(shelf, index, state.block if same else 0)
        is_there = place.record is None or place.block < block_count(place.record.size)
        return place if is_there else cls.at(shelf, index + 1, 0)

    def next(self, shelf: _Shelf) -> _Place:
        """The block after this one."""
        assert self.record is not None
        last = self.block + 1 >= block_count(self.record.size)
        return self.at(shelf, self.index + 1, 0) if last else self.at(shelf, self.index, self.block + 1)


def _is_sound(record: Record, block: int, expected: bytes | None, volume: Volume) -> bool:
    """Whether the disk still gives the block that was recorded, or of a small model without digests all of it."""
    start, length = block * BLOCK_SIZE, block_length(record.size, block)
    view = memoryview(bytearray(length))
    with files.os_errors(f"reading {record.path}"):
        number = volume.open_file(record.path)
        try:
            # From the disk, not from memory.
            with suppress(OSError):
                os.posix_fadvise(number, start, length, os.POSIX_FADV_DONTNEED)
            if not files.read_into(number, view, start):
                return False
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        finally:
            os.close(number)
    if expected is None:
        return sha256(view).hexdigest() == record.sha256
    return block_digest(view) == expected


def _ms(moment: float) -> int:
    return max(0, round(moment * 1000))
