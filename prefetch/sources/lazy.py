"""A mirror nobody has asked yet: it costs a request only when it is needed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prefetch.errors import PatienceError
from prefetch.net.origin import Body, Origin
from prefetch.sources.remote import RemoteFile

__all__ = ["LazyOrigin"]


class LazyOrigin:
    """An `Origin` that resolves its source on first use, once for all who use it."""

    def __init__(self, resolve: Callable[[], Awaitable[RemoteFile]], *, host: str) -> None:
        self._resolve = resolve
        self._host = host
        self._lock = asyncio.Lock()
        self._remote: RemoteFile | None = None
        self._not_before = 0.0

    @property
    def remote(self) -> RemoteFile | None:
        """What the source resolved to; None before it was asked."""
        return self._remote

    @property
    def _origin(self) -> Origin | None:
        return self._remote.origin if self._remote is not None else None

    @property
    def host(self) -> str:
        return self._origin.host if self._origin is not None else self._host

    @property
    def ranges(self) -> bool | None:
        return self._origin.ranges if self._origin is not None else None

    @property
    def pause(self) -> float:
        return self._origin.pause if self._origin is not None else max(0.0, self._not_before - time.monotonic())

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        return self._open(start, stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int | None) -> AsyncIterator[Body]:
        async with self._lock:
            if self._remote is None:
                self._remote = await self._find()
        async with self._remote.origin.open(start, stop) as body:
            yield body

    async def _find(self) -> RemoteFile:
        try:
            return await self._resolve()
        except PatienceError as error:
            self._not_before = time.monotonic() + error.floor
            raise
