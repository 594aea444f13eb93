"""A connection that is reset after each of the first bytes of its answer: one more failure that another try mends."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from prefetch.errors import PrefetchError, TransientError
from prefetch.net.body import WORTH_IT
from prefetch.net.client import open_session
from prefetch.net.http import HttpOrigin
from tests.test_net_http import Locator, drained

REACH = 4096
STEP = 61
"""Beyond the headers one place is like the next: a prime, so that blocks of any size are cut at different places."""


@asynccontextmanager
async def resetting(answer: bytes, after: Callable[[], int]) -> AsyncIterator[str]:
    """An address that is answered with the first ``after()`` bytes of ``answer`` and a reset."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer[: after()])
            await writer.drain()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/f"


def answer_of(size: int, *, chunked: bool) -> bytes:
    body = bytes(size)
    if chunked:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    head = f"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-{size - 1}/{size}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("kind", ["short", "long", "chunked"])
def test_a_reset_after_each_of_the_first_bytes_is_worth_another_try(kind: str) -> None:
    """Short bodies, long ones that are received straight into their buffers, and such as are parsed."""
    size = WORTH_IT if kind == "long" else 2 * REACH
    answer = answer_of(size, chunked=kind == "chunked")
    head = answer.index(b"\r\n\r\n") + 4
    places = [*range(head + 8), *range(head + 8, REACH, STEP)]
    cut = iter(places)

    async def work() -> dict[int, PrefetchError]:
        failures: dict[int, PrefetchError] = {}
        async with resetting(answer, lambda: next(cut)) as url, open_session(connections=1) as session:
            for place in places:
                try:
                    async with HttpOrigin(session, Locator(url), verified=True).open(0, size) as body:
                        await drained(body)
                except PrefetchError as error:
                    failures[place] = error
        return failures

    failures = asyncio.run(work())
    assert list(failures) == places
    assert {type(error) for error in failures.values()} == {TransientError}
    assert {error.cause for error in failures.values() if isinstance(error, TransientError)} <= {
        "reset",
        "cut",
        "protocol",
    }
