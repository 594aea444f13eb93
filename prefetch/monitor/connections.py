"""Connections that ask for nothing, or read no answer, are closed; and there are never too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["MOST", "PATIENCE", "Connections"]

MOST = 128
"""Connections at once; one more is closed at once."""
PATIENCE = 15.0
"""Seconds for a request to arrive, and for its answer to leave before the next."""


class Connections:
    """Every open connection of a server, each held to its time unless a request of it is being answered."""

    def __init__(self, *, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle | None] = {}

    def guarded(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """A protocol as ``make`` makes it, for a connection that is held to its time."""
        return _Guarded(make(), self)

    def answering(self, transport: asyncio.BaseTransport | None) -> None:
        """A request has arrived whole; who answers it takes care of the time."""
        if transport in self._open:
            self._stop(transport)
            self._open[transport] = None

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """The answer is made: it is to be read, and the next request to come, in time."""
        if transport in self._open:
            self._start(transport)

    def opened(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more connection; without, it is closed."""
        if len(self._open) >= self._most:
            transport.abort()
            return False
        self._start(transport)
        return True

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """The connection is gone."""
        self._stop(transport)
        self._open.pop(transport, None)

    def _start(self, transport: asyncio.BaseTransport) -> None:
        self._stop(transport)
        assert isinstance(transport, asyncio.Transport)
        self._open[transport] = asyncio.get_running_loop().call_later(self._patience, transport.abort)

    def _stop(self, transport: asyncio.BaseTransport) -> None:
        if (timer := self._open.get(transport)) is not None:
            timer.cancel()


class _Guarded(asyncio.Protocol):
    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._connections.opened(transport):
            self._transport = transport
            self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.closed(self._transport)
            self._inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else False

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._inner.resume_writing()
