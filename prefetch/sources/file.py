"""Files on this machine: another mount, a disk that was brought along."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from prefetch.errors import ContentError, SourceError
from prefetch.net.origin import Body
from prefetch.sources.refs import FileRef
from prefetch.sources.remote import RemoteFile

__all__ = ["FileOrigin", "resolve_file"]

_BLOCK = 4 << 20


class FileOrigin:
    """A regular file as an `Origin`; nothing about it is transient."""

    def __init__(self, path: str, *, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def host(self) -> str:
        return "file"

    @property
    def ranges(self) -> bool | None:
        return True

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        return self._open(start, self._size if stop is None else stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int) -> AsyncIterator[Body]:
        descriptor = await asyncio.to_thread(_open_regular, self._path)
        try:
            async with aclosing(self._blocks(descriptor, start, stop)) as blocks:
                yield Body(blocks, self._size, True)
        finally:
            os.close(descriptor)

    async def _blocks(self, descriptor: int, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        while start < stop:
            try:
                block = await asyncio.to_thread(os.pread, descriptor, min(_BLOCK, stop - start), start)
            except OSError as error:
                raise _unreadable(self._path, error) from None
            if not block:
                raise ContentError(f"{self._path} became shorter while it was read.")
            yield block
            start += len(block)


async def resolve_file(ref: FileRef, *, source: str) -> RemoteFile:
    """What ``ref`` is now.

    Raises:
        SourceError: missing, unreadable, or no regular file.
    """
    size = await asyncio.to_thread(_size_of, ref.path)
    return RemoteFile(source, str(ref), FileOrigin(ref.path, size=size), size)


def _size_of(path: str) -> int:
    descriptor = _open_regular(path)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _open_regular(path: str) -> int:
    try:
        # Opening a fifo without O_NONBLOCK waits for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is no regular file.", remedy="Name one file.")
    return descriptor


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path and its rights.")
