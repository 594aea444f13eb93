"""The bytes of a response, put straight into the reader's buffer.

aiohttp opens the connection, speaks TLS and reads the headers; then this module takes the transport over, so that the
body is received, or decrypted, into the very memory it is written to the volume from. On the way through aiohttp's own
stream each byte would be copied four more times, which at the speed of a volume is a third of a core.
"""

from __future__ import annotations

import asyncio

import aiohttp

from prefetch.errors import ContentError, PrefetchError, TransientError
from prefetch.net.checks import Accepted, Asked
from prefetch.net.failures import connection_error
from prefetch.net.origin import Body

__all__ = ["open_body"]

WORTH_IT = 1 << 18
"""Bytes from which on taking the transport over costs less than it saves."""
UNASKED = 1 << 16
"""Bytes that may come at once while nobody waits for them."""


def open_body(response: aiohttp.ClientResponse, asked: Asked, accepted: Accepted) -> Body:
    """The body of a response that has been checked."""
    connection = response.connection
    if connection is not None and connection.transport is not None and _is_plain(response, accepted):
        return _TakenOver(response, connection.transport, asked, accepted)
    return _Streamed(response, asked, accepted)


def _is_plain(response: aiohttp.ClientResponse, accepted: Accepted) -> bool:
    """Whether the body is nothing but its bytes: no chunks to parse, an end that is known, nothing behind it."""
    length = response.content_length
    return length is not None and length == accepted.length and length >= WORTH_IT


class _Streamed:
    """A body as aiohttp delivers it: chunked ones, and those too short for anything else."""

    def __init__(self, response: aiohttp.ClientResponse, asked: Asked, accepted: Accepted) -> None:
        self.total = accepted.total
        self.ranged = accepted.ranged
        self.received = 0
        self._content = response.content
        self._asked = asked
        self._left = accepted.length
        self._piece = memoryview(b"")

    async def fill(self, buffer: memoryview) -> int:
        filled = 0
        while filled < len(buffer) and (piece := await self._next_piece()):
            count = min(len(piece), len(buffer) - filled)
            buffer[filled : filled + count] = piece[:count]
            self._piece = piece[count:]
            filled += count
            self.received += count
        return filled

    async def _next_piece(self) -> memoryview:
        """What was received and not delivered; empty at the body's end."""
        if self._piece or (self._left == 0 and self.ranged):
            return self._piece
        try:
            piece = await self._content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise broken(error, self._asked) from None
        if self._left is None:
            self._piece = memoryview(piece)
            return self._piece
        if len(piece) > self._left and not self.ranged:
            raise ContentError(f"{self._asked.host} sent more than the {self.total} bytes of {self._asked.name}.")
        if not piece and self._left:
            raise cut(self._asked, self._left)
        self._piece = memoryview(piece)[: self._left]
        self._left -= len(self._piece)
        return self._piece


class _TakenOver(asyncio.BufferedProtocol):
    """A body of known length, read by being the transport's protocol until its last byte.

    The transport is paused whenever nobody waits in `fill`: then there is no memory to receive into.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, transport: asyncio.Transport, asked: Asked, accepted: Accepted
    ) -> None:
        assert accepted.length is not None
        self.total = accepted.total
        self.ranged = accepted.ranged
        self.received = 0
        self._response = response
        self._transport = transport
        self._handler = transport.get_protocol()
        self._asked = asked
        self._left = accepted.length
        self._early = self._take_over()
        self._buffer = memoryview(b"")
        self._unasked = memoryview(b"")
        self._waiter: asyncio.Future[None] | None = None
        self._failure: PrefetchError | None = None

    async def fill(self, buffer: memoryview) -> int:
        before = self.received
        self._buffer = buffer[: self._left]
        self._deliver_early()
        if self._buffer:
            await self._receive()
        if self._left == 0:
            self._give_back()
        return self.received - before

    # The transport calls these -----------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        # aiohttp may have the transport read on when it has caught up with what it held back itself.
        return self._buffer or self._spare()

    def buffer_updated(self, nbytes: int) -> None:
        if not self._buffer:
            self._early = memoryview(bytes(self._early) + bytes(self._spare()[:nbytes]))
            self._transport.pause_reading()
            return
        self._count(nbytes)
        if not self._buffer:
            self._transport.pause_reading()
            self._wake()

    def eof_received(self) -> None:
        self._fail(cut(self._asked, self._left))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(cut(self._asked, self._left) if exc is None else broken(exc, self._asked))
        self._handler.connection_lost(exc)

    # Inside ------------------------------------------------------------------------------------------------------

    def _take_over(self) -> memoryview:
        """Become the protocol; what aiohttp received behind the headers is returned."""
        early = bytearray()
        while piece := self._response.content.read_nowait():
            early += piece
        self._transport.pause_reading()
        self._transport.set_protocol(self)
        return memoryview(early)

    def _spare(self) -> memoryview:
        """Room for what comes while nobody waits for it."""
        if not self._unasked:
            self._unasked = memoryview(bytearray(UNASKED))
        return self._unasked

    def _deliver_early(self) -> None:
        count = min(len(self._early), len(self._buffer))
        self._buffer[:count] = self._early[:count]
        self._early = self._early[count:]
        self._count(count)

    def _count(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._left -= count
        self.received += count

    async def _receive(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.resume_reading()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if not self._transport.is_closing():
                self._transport.pause_reading()
            self._buffer = memoryview(b"")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: PrefetchError) -> None:
        self._failure = self._failure or failure
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._failure)

    def _give_back(self) -> None:
        """Let aiohttp keep the connection for the next request."""
        if self._transport.get_protocol() is self and not self._transport.is_closing():
            self._transport.set_protocol(self._handler)
            self._response.content.feed_eof()


def cut(asked: Asked, left: int) -> TransientError:
    """The connection ended ``left`` bytes before the body did."""
    return TransientError(f"{asked.host} cut {asked.name} off {left} bytes before its end.", cause="cut")


def broken(error: Exception, asked: Asked) -> TransientError:
    """What an error in the middle of a body means."""
    failure = connection_error(error, asked.host, hide=asked.hide)
    if isinstance(failure, TransientError) and failure.cause != "protocol":
        return failure
    return TransientError(f"{asked.host} cut {asked.name} off.", cause="cut")
