"""SHA-256 of a file whose blocks arrive in any order, without a second pass over it.

The hash follows the frontier, the end of the contiguous run of blocks from the file's start. A block that arrives just
there is hashed from memory; those that arrived ahead are read back through the descriptor that wrote them, mostly from
the page cache, and compared with the digest they had when they arrived. Blocks of an earlier run take the same way, so
a resumed prefix is checked while the rest downloads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from prefetch.errors import PrefetchError
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.threads import Spawn, Threads

if TYPE_CHECKING:
    from prefetch.volume.partial import Partial

__all__ = ["Frontier"]

BATCH = 16
"""Blocks hashed in one visit to a thread, and between two kept states of the hash."""


class Frontier:
    """Hashes one partial file in order as its blocks land.

    Args:
        spawn: starts a coroutine in the background.
        damaged: called with the number of a block whose bytes on the volume are not those that were written.
        complete: called each time the frontier reaches the end of the file.
        failed: called when the volume refuses to give the bytes back.
    """

    def __init__(
        self,
        partial: Partial,
        *,
        threads: Threads,
        buffers: Buffers,
        spawn: Spawn,
        damaged: Callable[[int], None],
        complete: Callable[[], None],
        failed: Callable[[PrefetchError], None],
        git_blob: bool = False,
    ) -> None:
        self._partial = partial
        self._threads = threads
        self._buffers = buffers
        self._spawn = spawn
        self._damaged = damaged
        self._complete = complete
        self._failed = failed
        self._landed: set[int] = set(partial.claimed)
        self._kept = {0: hashlib.sha256()}
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(f"blob {partial.size}\0".encode(), usedforsecurity=False) if git_blob else None
        self._rewind_to: int | None = None
        self._busy = False
        self._retired = False
        self.next = 0

    @property
    def sha256(self) -> str:
        """Hex digest of what has been hashed so far."""
        return self._sha256.hexdigest()

    @property
    def git_sha1(self) -> str | None:
        """Hex digest as a git blob, where it was asked for."""
        return None if self._git is None else self._git.hexdigest()

    @property
    def reached_end(self) -> bool:
        return self._partial.size is not None and self.next >= self._partial.block_count

    async def landed(self, index: int, view: memoryview) -> None:
        """Block ``index`` stands on the volume and, until this returns, in memory at ``view``."""
        if index == self.next and not self._busy:
            self._busy = True
            try:
                await self._threads.run(self._hash, view)
            finally:
                self._busy = False
            self._step()
        elif index >= self.next:
            self._landed.add(index)
        self.drain()

    def drain(self) -> None:
        """Hash on in the background as far as blocks have landed."""
        if self._busy or self._retired:
            return
        if self._rewind_to is not None:
            self._rewind()
        if self.next in self._landed:
            self._busy = True
            self._spawn(self._drain())
        elif self.reached_end:
            self._complete()

    def rewind(self, index: int) -> None:
        """Block ``index`` was replaced on the volume: hash again from there."""
        self._rewind_to = index if self._rewind_to is None else min(index, self._rewind_to)
        self.drain()

    def retire(self) -> None:
        """Hash no further and report nothing more; a batch that a thread is at is left to end by itself."""
        self._retired = True

    def _hash(self, view: memoryview) -> None:
        self._sha256.update(view)
        if self._git is not None:
            self._git.update(view)

    def _step(self) -> None:
        self._landed.discard(self.next)
        self.next += 1
        if self.next % BATCH == 0:
            self._kept[self.next] = self._sha256.copy()

    def _rewind(self) -> None:
        assert self._rewind_to is not None
        if self._rewind_to < self.next:
            start = self._rewind_to - self._rewind_to % BATCH
            self._landed.update(range(start, self.next))
            self._sha256 = self._kept[start].copy()
            self._kept = {index: kept for index, kept in self._kept.items() if index <= start}
            self.next = start
        self._rewind_to = None

    async def _drain(self) -> None:
        buffer = await self._buffers.acquire()
        try:
            while self.next in self._landed and self._rewind_to is None and not self._retired:
                await self._batch(memoryview(buffer))
        except PrefetchError as error:
            if not self._retired:
                self._failed(error)
            self._retired = True
        finally:
            self._buffers.release(buffer)
            self._busy = False
        self.drain()

    async def _batch(self, buffer: memoryview) -> None:
        end = self.next
        while end in self._landed and end - self.next < BATCH - self.next % BATCH:
            end += 1
        hashed, whole = await self._threads.run(self._read_and_hash, buffer, self.next, end)
        for _ in range(hashed):
            self._step()
        if not whole and not self._retired:
            self._landed.discard(self.next)
            self._damaged(self.next)

    def _read_and_hash(self, buffer: memoryview, first: int, end: int) -> tuple[int, bool]:
        for index in range(first, end):
            view = self._partial.read(index, buffer)
            if view is None:
                return index - first, False
            self._hash(view)
        return end - first, True
