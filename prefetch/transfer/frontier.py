"""SHA-256 of a file whose blocks arrive in any order, without a second pass over it.

The hash follows the frontier, the end of the contiguous run of blocks from the file's start. A block that arrives
there, or a little ahead of it, is hashed from memory; the others are read back through the descriptor that wrote them,
mostly from the page cache, and compared with the digest they had when they arrived. Blocks of an earlier run take the
same way, so a resumed prefix is checked while the rest downloads.
"""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from prefetch.errors import PrefetchError
from prefetch.transfer.buffers import Buffer
from prefetch.transfer.means import Means

if TYPE_CHECKING:
    from prefetch.volume.partial import Partial

__all__ = ["Frontier", "Owner"]

BATCH = 16
"""Blocks hashed in one visit to a thread, and between two kept states of the hash."""
AHEAD = 64
"""How far ahead of the frontier, in blocks, it is worth to keep a block in memory until it is hashed."""


class Owner(Protocol):
    """Whose file it is."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do ``work`` in the background."""

    def damaged(self, index: int) -> None:
        """The bytes of block ``index`` on the volume are not those that were written."""

    def complete(self) -> None:
        """The frontier reached the end of the file. Called each time it does."""

    def lose(self, error: PrefetchError) -> None:
        """The volume refuses to give the bytes back."""


class Frontier:
    """Hashes one partial file in order as its blocks land.

    Args:
        owner: held weakly, as it holds the frontier.
    """

    def __init__(
        self,
        partial: Partial,
        means: Means,
        owner: Owner,
        *,
        git_blob: bool = False,
    ) -> None:
        self._partial = partial
        self._hashers = means.hashers
        self._buffers = means.buffers
        self._reading = means.reading
        self._flow = means.flow
        self._owner: Owner = weakref.proxy(owner)
        self._landed: set[int] = set(partial.claimed)
        self._memory: dict[int, tuple[Buffer, int]] = {}
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

    def landed(self, index: int, buffer: Buffer, length: int) -> None:
        """Block ``index`` stands on the volume, and as the first ``length`` bytes of ``buffer``, which is ours now."""
        self._forget(index)
        if self._is_worth_keeping(index) and self._buffers.keep():
            self._memory[index] = buffer, length
        else:
            self._buffers.release(buffer)
        if index >= self.next:
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
            self._owner.spawn(self._drain())
        elif self.reached_end:
            self._owner.complete()

    def rewind(self, index: int) -> None:
        """Block ``index`` was replaced on the volume: hash again from there."""
        self._forget(index)
        self._rewind_to = index if self._rewind_to is None else min(index, self._rewind_to)
        self.drain()

    def retire(self) -> None:
        """Hash no further and report nothing more; a batch that a thread is at is left to end by itself."""
        self._retired = True
        if not self._busy:
            self._forget_all()

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

    def _is_worth_keeping(self, index: int) -> bool:
        """Whether a block should stay in memory; what lies farther ahead makes room for it."""
        if self._retired or not self.next <= index < self.next + AHEAD:
            return False
        farthest = max(self._memory, default=0)
        if farthest > index and not self._buffers.has_room:
            self._forget(farthest)
        return True

    def _forget(self, index: int) -> None:
        if (kept := self._memory.pop(index, None)) is not None:
            self._buffers.give_up(kept[0])

    def _forget_all(self) -> None:
        for index in tuple(self._memory):
            self._forget(index)

    async def _drain(self) -> None:
        try:
            while self.next in self._landed and self._rewind_to is None and not self._retired:
                if self.next in self._memory:
                    await self._hash_from_memory()
                else:
                    await self._hash_from_volume()
        except PrefetchError as error:
            if not self._retired:
                self._owner.lose(error)
            self._retired = True
        finally:
            self._busy = False
            if self._retired:
                self._forget_all()
        self.drain()

    async def _hash_from_memory(self) -> None:
        run: list[memoryview] = []
        while (kept := self._memory.get(self.next + len(run))) is not None and len(run) < self._batch_limit:
            run.append(memoryview(kept[0])[: kept[1]])
        _, seconds = await self._hashers.timed(self._hash_all, run)
        self._flow.count_hashed(sum(map(len, run)), seconds)
        for _ in run:
            self._forget(self.next)
            self._step()

    async def _hash_from_volume(self) -> None:
        end = self.next
        while end in self._landed and end not in self._memory and end - self.next < self._batch_limit:
            end += 1
        buffer = await self._reading.acquire()
        try:
            view = memoryview(buffer)
            (hashed, whole), seconds = await self._hashers.timed(self._read_and_hash, view, self.next, end)
        finally:
            self._reading.release(buffer)
        read = range(self.next, self.next + hashed)
        self._flow.count_hashed(sum(map(self._partial.block_length, read)), seconds)
        for _ in range(hashed):
            self._step()
        if not whole and not self._retired:
            self._landed.discard(self.next)
            self._owner.damaged(self.next)

    @property
    def _batch_limit(self) -> int:
        """Blocks up to the next state of the hash that is to be kept."""
        return BATCH - self.next % BATCH

    def _hash_all(self, views: list[memoryview]) -> None:
        for view in views:
            self._hash(view)

    def _read_and_hash(self, buffer: memoryview, first: int, end: int) -> tuple[int, bool]:
        for index in range(first, end):
            view = self._partial.read(index, buffer)
            if view is None:
                return index - first, False
            self._hash(view)
        return end - first, True
