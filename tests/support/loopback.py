"""Small real servers on loopback for tests of the HTTP parts: a handler in, an address and a record of requests out."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

__all__ = ["Handler", "RawReply", "Server", "raw_serving", "serving"]

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RawReply = Callable[[str], bytes]


@dataclass
class Server:
    """Where a server listens, and what it was asked: method, target as it stood in the request line, headers."""

    scheme: str
    host: str
    port: int
    log: list[web.BaseRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [request.raw_path for request in self.log]


@asynccontextmanager
async def serving(
    handler: Handler, *, host: str = "127.0.0.1", name: str = "", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve ``handler`` on a free port; ``name`` is what addresses call the host."""
    server = Server("https" if tls else "http", name or host, 0)

    async def recorded(request: web.BaseRequest) -> web.StreamResponse:
        server.log.append(request)
        return await handler(request)

    serving_web = web.Server(recorded)
    runner = web.ServerRunner(serving_web, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        for connection in serving_web.connections:
            if tls and connection.transport:
                # Closing politely waits for the peer, and a client that keeps its connection says nothing.
                connection.transport.abort()
        await runner.cleanup()


@asynccontextmanager
async def raw_serving(reply: RawReply) -> AsyncIterator[Server]:
    """Answer every request head (text) with ``reply``'s bytes and close the connection."""
    server = Server("http", "127.0.0.1", 0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(reply(head.decode()))
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
