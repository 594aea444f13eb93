"""The bytes of one file between connections and volume: written, hashed in order, compared when they are doubted."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Coroutine
from typing import Any, Protocol

from prefetch.errors import PrefetchError
from prefetch.net.origin import Origin
from prefetch.report.events import Repaired
from prefetch.transfer.buffers import Buffer
from prefetch.transfer.frontier import Frontier
from prefetch.transfer.judge import Hashes
from prefetch.transfer.means import Means
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.hashing import block_digest
from prefetch.volume.partial import Partial

__all__ = ["Assembly", "Owner"]

SYNC_BYTES, SYNC_LEAST = 64 << 20, 16 << 20
"""A power cut costs at most what was written after the last sync; syncing more often slows the volume down."""


class Owner(Protocol):
    """Whose file it is: told what becomes of its blocks, and asked about them."""

    def accepts(self, index: int, digest: bytes, origin: Origin) -> bool:
        """Whether to take block ``index`` of this digest, which ``origin`` sent."""

    def fetch_again(self, index: int) -> None:
        """Block ``index`` was here, and is not any more."""

    def differs(self, index: int) -> None:
        """Block ``index`` came otherwise than it was here."""

    def complete(self) -> None:
        """Every block of the file is here and hashed. Called each time that is so."""

    def lose(self, error: PrefetchError) -> None:
        """The volume refuses."""


class Assembly:
    """Puts one file together. All of it belongs to the event loop; the volume's work is done in threads.

    Args:
        owner: held weakly, as it holds the assembly: a cycle would keep a finished file's memory until somebody
            collects garbage. It lives as long as anything happens here.
        by_block: whether the owner is asked about each block before it is taken.
        git_blob: whether the git hash is needed too.
    """

    def __init__(
        self,
        partial: Partial,
        means: Means,
        owner: Owner,
        *,
        by_block: bool,
        git_blob: bool,
    ) -> None:
        self.partial = partial
        self._means = means
        self._owner: Owner = weakref.proxy(owner)
        self._by_block = by_block
        self._git_blob = git_blob
        self._generation = 0
        self._retired = False
        self._flushing = False
        self._settling: set[asyncio.Task[None]] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._frontier = self._new_frontier()

    @property
    def hashes(self) -> Hashes:
        """Those of what has been hashed so far."""
        return self._frontier.sha256, self._frontier.git_sha1

    @property
    def bytes_hashed(self) -> int:
        """Bytes from the file's start that have been hashed."""
        hashed = self._frontier.next * BLOCK_SIZE
        return hashed if self.partial.size is None else min(hashed, self.partial.size)

    @property
    def settling(self) -> bool:
        """Whether a block is on its way from memory to the volume."""
        return bool(self._settling)

    def settle(self, index: int, buffer: Buffer, length: int, origin: Origin) -> None:
        """Take over a buffer whose first ``length`` bytes ``origin`` sent as block ``index``."""
        task = self._means.spawn(self._settle(index, buffer, length, origin, self._generation))
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def drain(self) -> None:
        """Hash on as far as blocks are here, and say so if that is all of them."""
        self._frontier.drain()

    def flush(self) -> None:
        """Have what was written so far brought to the disk in the background."""
        if not self._flushing:
            self._flushing = True
            self.spawn(self._flush())

    async def learn_size(self, size: int) -> None:
        """The end of a file of unknown size was reached."""
        await self.quiet()
        try:
            await self._means.writers.run(self.partial.learn_size, size)
        except PrefetchError as error:
            self._owner.lose(error)
        self.drain()

    def retire(self) -> None:
        """Take nothing more in, and report nothing more."""
        self._retired = True
        self._frontier.retire()

    def put_away(self) -> None:
        """Its bytes are on the volume, and none in memory."""

    async def restart(self) -> bool:
        """Drop every byte that is here; False if that failed, or another call did it meanwhile."""
        self._generation += 1
        generation = self._generation
        self._frontier.retire()
        await self.quiet()
        if self._retired or generation != self._generation:
            return False
        try:
            await self._means.writers.run(self.partial.restart)
        except PrefetchError as error:
            self._owner.lose(error)
            return False
        self._frontier = self._new_frontier()
        return True

    async def quiet(self) -> None:
        """Wait until nothing reads or writes the file any more."""
        while busy := self._settling | self._beside:
            await asyncio.wait(busy)

    def _new_frontier(self) -> Frontier:
        return Frontier(self.partial, self._means, self, git_blob=self._git_blob)

    # What the frontier tells ------------------------------------------------------------------------------------

    def damaged(self, index: int) -> None:
        """Block ``index`` on the volume is not what was written there."""
        self._means.listener(Repaired(self.partial.identity.path, "disk", self.partial.block_length(index)))
        self._owner.fetch_again(index)

    def complete(self) -> None:
        """Every block of the file is hashed."""
        self._owner.complete()

    def lose(self, error: PrefetchError) -> None:
        """The volume does not give the bytes back."""
        self._owner.lose(error)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do ``work`` beside the rest; `quiet` waits for it."""
        task = self._means.spawn(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def _settle(self, index: int, buffer: Buffer, length: int, origin: Origin, generation: int) -> None:
        landed = False
        try:
            if generation == self._generation and not self._retired:
                landed = await self._bring(index, memoryview(buffer)[:length], origin)
        except PrefetchError as error:
            self._owner.lose(error)
        finally:
            if landed and generation == self._generation:
                self._frontier.landed(index, buffer, length)
            else:
                self._means.buffers.release(buffer)

    async def _bring(self, index: int, view: memoryview, origin: Origin) -> bool:
        """Bring a block to the volume; False if it was refused, or stood there already and was only compared."""
        if not await self._is_accepted(index, view, origin):
            return False
        if index in self.partial.claimed:
            await self._compare(index, view)
            return False
        await self._write(index, view)
        return True

    async def _write(self, index: int, view: memoryview) -> None:
        _, seconds = await self._means.writers.timed(self.partial.write, index, view)
        self._means.flow.count_written(len(view), seconds)
        if self.partial.unsynced_bytes >= self._sync_at:
            self.flush()

    @property
    def _sync_at(self) -> int:
        """Bytes that may stay unsynced: few at the end, because the file has no name before all of them are synced."""
        if self.partial.size is None:
            return SYNC_BYTES
        left = (self.partial.block_count - len(self.partial.claimed)) * BLOCK_SIZE
        return max(SYNC_LEAST, min(SYNC_BYTES, left))

    async def _is_accepted(self, index: int, view: memoryview, origin: Origin) -> bool:
        if not self._by_block:
            return True
        digest = await self._means.hashers.run(block_digest, view)
        return self._owner.accepts(index, digest, origin)

    async def _compare(self, index: int, view: memoryview) -> None:
        """A block that comes the same again is right, or wrong at the host; one that differs was the bad one."""
        if not await self._means.hashers.run(self.partial.matches, index, view):
            await self._write(index, view)
            self._owner.differs(index)
            self._frontier.rewind(index)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        self.drain()

    async def _flush(self) -> None:
        try:
            await self._means.writers.run(self.partial.sync)
        except PrefetchError as error:
            self._owner.lose(error)
        finally:
            self._flushing = False
