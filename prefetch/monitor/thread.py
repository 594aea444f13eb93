"""A server beside the work, in a thread and an event loop of its own.

Neither a transfer at full speed nor a volume that hangs delays its answers, and who looks holds up no transfer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from prefetch.monitor.server import Server
from prefetch.values import Endpoint

__all__ = ["in_thread"]

AT_THE_END = 1.0
"""Seconds for the last answers to leave."""


@contextmanager
def in_thread(server: Server) -> Iterator[Endpoint]:
    """Serve until the end of the block; the address with the port it came to.

    Raises:
        UsageError: the address cannot be listened on.
    """
    listening: Future[tuple[Endpoint, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server, listening)), name="server", daemon=True)
    thread.start()
    endpoint, loop, over = listening.result()
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(AT_THE_END)


async def _serve(server: Server, listening: Future[tuple[Endpoint, asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    over = asyncio.Event()
    try:
        endpoint = await server.start()
    except BaseException as error:
        listening.set_exception(error)
        return
    listening.set_result((endpoint, asyncio.get_running_loop(), over))
    await over.wait()
    await server.stop()
