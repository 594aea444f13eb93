"""Files on this machine: another mount, a disk that was brought along."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prefetch.errors import ContentError, SourceError
from prefetch.net.origin import Body
from prefetch.sources.refs.file import FileRef
from prefetch.sources.remote import RemoteFile

__all__ = ["FileOrigin", "resolve_file"]


# Opening a fifo without O_NONBLOCK waits for a writer for ever; Windows has neither, but changes line ends.
_FLAGS: int = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileOrigin:
    """A regular file as an `Origin`; nothing about it is transient."""

    def __init__(self, path: str, *, size: int) -> None:
        self._path = path
        self._size = size
        self._ended = 0
        self._bodies: set[_FileBody] = set()

    @property
    def served(self) -> int:
        """Bytes that were read from it so far."""
        return self._ended + sum(body.received for body in self._bodies)

    @property
    def host(self) -> str:
        return "file"

    @property
    def ranges(self) -> bool | None:
        return True

    @property
    def pause(self) -> float:
        return 0.0

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        return self._open(start, self._size if stop is None else stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int) -> AsyncIterator[Body]:
        descriptor = await asyncio.to_thread(_open_regular, self._path)
        body = _FileBody(self._path, descriptor, start, stop, total=self._size)
        self._bodies.add(body)
        try:
            yield body
        finally:
            os.close(descriptor)
            self._bodies.remove(body)
            self._ended += body.received


class _FileBody:
    """A range of an open file."""

    def __init__(self, path: str, descriptor: int, start: int, stop: int, *, total: int) -> None:
        self.total = total
        self.ranged = True
        self.received = 0
        self._path = path
        self._descriptor = descriptor
        self._start = start
        self._stop = stop

    async def fill(self, buffer: memoryview) -> int:
        filled = 0
        while wanted := min(len(buffer) - filled, self._stop - self._start - self.received):
            # Not read into the buffer itself: a thread cannot be stopped, and by then the buffer may be another's.
            piece = await asyncio.to_thread(self._read, wanted, self._start + self.received)
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
            self.received += len(piece)
        return filled

    def _read(self, count: int, at: int) -> bytes:
        try:
            # One descriptor a body, read by one thread at a time.
            os.lseek(self._descriptor, at, os.SEEK_SET)
            piece = os.read(self._descriptor, count)
        except OSError as error:
            raise _unreadable(self._path, error) from None
        if not piece:
            raise ContentError(f"{self._path} became shorter while it was read.")
        return piece


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
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is no regular file.", remedy="Name one file.")
    return descriptor


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path and its rights.")
