"""Connections that ask for nothing, or read no answer, are closed: in time, and at once where others want to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["MOST", "PATIENCE", "Connections"]

MOST = 128
"""Connections at once."""
PATIENCE = 15.0
"""Seconds for a request to arrive, and for its answer to leave before the next."""


class Connections:
    """Every open connection of a server, each held to its time unless a request of it is being answered.

    Where there are too many, the one that has sent no request for longest makes room, or else the one whose answer was
    made first: a probe gets through, however many are held open by who asks for nothing.
    """

    def __init__(self, *, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._silent: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._answered: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._answering: set[asyncio.BaseTransport] = set()

    def guarded(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        """A protocol as ``make`` makes it, for a connection that is held to its time."""
        return _Guarded(make(), self)

    def answering(self, transport: asyncio.BaseTransport | None) -> None:
        """A request has arrived whole; who answers it takes care of the time."""
        if transport in self._silent or transport in self._answered:
            self.closed(transport)
            self._answering.add(transport)

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """The answer is made: it is to be read, and the next request to come, in time."""
        if transport in self._answering:
            self._answering.remove(transport)
            self._answered[transport] = self._timer(transport)

    def opened(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for one more connection, or room could be made; without, it is closed."""
        if len(self._silent) + len(self._answered) + len(self._answering) >= self._most and not self._make_room():
            transport.abort()
            return False
        self._silent[transport] = self._timer(transport)
        return True

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """The connection is gone."""
        for waiting in (self._silent, self._answered):
            if (timer := waiting.pop(transport, None)) is not None:
                timer.cancel()
        self._answering.discard(transport)

    def _make_room(self) -> bool:
        """Close the connection that can best be spared; False if all are being answered."""
        longest = next(iter(self._silent or self._answered), None)
        if longest is None:
            return False
        self.closed(longest)
        _abort(longest)
        return True

    def _timer(self, transport: asyncio.BaseTransport) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._patience, _abort, transport)


def _abort(transport: asyncio.BaseTransport) -> None:
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


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
