"""A small file between connection and volume: one block, hashed where it was received and kept there until placed."""

from __future__ import annotations

import asyncio
import hashlib
import time
import weakref
from typing import Protocol

from prefetch.net.origin import Origin
from prefetch.transfer.buffers import Buffer
from prefetch.transfer.judge import Hashes
from prefetch.transfer.means import Means
from prefetch.volume.draft import Draft

__all__ = ["Owner", "Parcel"]

AT_ONCE = 1 << 18
"""Bytes up to which hashing them, or copying, takes less time than handing them to a thread."""


class Owner(Protocol):
    """Whose file it is."""

    def differs(self, index: int) -> None:
        """Block ``index`` came otherwise than it was here."""

    def complete(self) -> None:
        """The file is here and hashed."""


class Parcel:
    """Does for a `Draft` what an `Assembly` does for a partial file, and is used like one.

    Args:
        owner: held weakly, as it holds the parcel.
        git_blob: whether the git hash is needed too.
    """

    def __init__(self, draft: Draft, means: Means, owner: Owner, *, git_blob: bool) -> None:
        self._draft = draft
        self._means = means
        self._owner: Owner = weakref.proxy(owner)
        self._git_blob = git_blob
        self._buffer: Buffer | None = None
        self._hashing: set[asyncio.Task[None]] = set()
        self._retired = False
        self._hashes: Hashes | None = None if draft.size else self._hashes_of(memoryview(b""))

    @property
    def hashes(self) -> Hashes:
        """Those of the file; of nothing before it is here."""
        return self._hashes or self._hashes_of(memoryview(b""))

    @property
    def bytes_hashed(self) -> int:
        return self._draft.size if self._hashes is not None else 0

    @property
    def settling(self) -> bool:
        return bool(self._hashing)

    def settle(self, index: int, buffer: Buffer, length: int, origin: Origin) -> None:
        """Take over a buffer whose first ``length`` bytes ``origin`` sent as the file."""
        self.put_away()
        data = self._own(buffer, length)
        self._draft.write(index, data)
        task = self._means.spawn(self._hash(data))
        self._hashing.add(task)
        task.add_done_callback(self._hashing.discard)

    def drain(self) -> None:
        """Say so if all of the file is here."""
        if self._hashes is not None and not self._hashing and not self._retired:
            self._owner.complete()

    def flush(self) -> None:
        """Nothing of it is on the volume yet."""

    async def learn_size(self, size: int) -> None:
        """Its size was known from the beginning."""

    def retire(self) -> None:
        """Take nothing more in, and report nothing more."""
        self._retired = True

    async def restart(self) -> bool:
        """Drop what is here; False if it is not wanted any more."""
        await self.quiet()
        self.put_away()
        self._hashes = None
        return not self._retired

    async def quiet(self) -> None:
        """Wait until nothing reads the bytes any more."""
        while self._hashing:
            await asyncio.wait(self._hashing)

    def put_away(self) -> None:
        """Let go of the bytes: the file has its name, or never will have one."""
        if self._draft.size:
            self._draft.restart()
        if self._buffer is not None:
            self._means.buffers.release(self._buffer)
            self._buffer = None

    def _own(self, buffer: Buffer, length: int) -> memoryview:
        """The bytes to be kept: many models may wait for their names, and few of them should hold a whole buffer."""
        if length > AT_ONCE:
            self._buffer = buffer
            return memoryview(buffer)[:length]
        data = bytes(memoryview(buffer)[:length])
        self._means.buffers.release(buffer)
        return memoryview(data)

    async def _hash(self, data: memoryview) -> None:
        began, before = time.perf_counter(), self._hashes
        if len(data) <= AT_ONCE:
            self._hashes = self._hashes_of(data)
        else:
            self._hashes = await self._means.hashers.run(self._hashes_of, data)
        self._means.flow.count_hashed(len(data), time.perf_counter() - began)
        self._hashing.clear()
        if before not in (None, self._hashes):
            self._owner.differs(0)
        if not self._retired:
            self._owner.complete()

    def _hashes_of(self, data: memoryview) -> Hashes:
        git = None
        if self._git_blob:
            git = hashlib.sha1(f"blob {len(data)}\0".encode(), usedforsecurity=False)
            git.update(data)
        return hashlib.sha256(data).hexdigest(), None if git is None else git.hexdigest()
