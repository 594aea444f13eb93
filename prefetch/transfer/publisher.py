"""Has what is finished given its name: a large model by itself, small ones as many at a time as have come together."""

from __future__ import annotations

import asyncio
from collections import deque

from prefetch.errors import PrefetchError
from prefetch.transfer.flow import Flow
from prefetch.transfer.order import Finished, Place
from prefetch.transfer.threads import Threads
from prefetch.volume.draft import Draft

__all__ = ["Publisher"]

AT_ONCE = 4
"""Groups of small models that are placed at the same time."""
TOGETHER = 32
"""The most of one group."""


class Publisher:
    """Belongs to the event loop.

    Args:
        place: does it, in ``threads``.
    """

    def __init__(self, place: Place, threads: Threads, flow: Flow) -> None:
        self._place = place
        self._threads = threads
        self._flow = flow
        self._waiting: deque[tuple[Finished, asyncio.Future[PrefetchError | None]]] = deque()
        self._free = asyncio.Semaphore(AT_ONCE)

    async def publish(self, finished: Finished) -> PrefetchError | None:
        """Wait until the file has its name; why it has not got it, if so."""
        if not isinstance(finished.incoming, Draft):
            return (await self._threads.run(self._place, [finished]))[0]
        result: asyncio.Future[PrefetchError | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((finished, result))
        # Whoever is at the front places those who have come meanwhile, and finds itself placed by somebody else.
        async with self._free:
            if not result.done():
                await self._place_some()
        return await result

    async def _place_some(self) -> None:
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER))]
        if group:
            failures, seconds = await self._threads.timed(self._place, [finished for finished, _ in group])
            # A large model's bytes were counted as they came.
            placed = (
                item.incoming.size or 0 for (item, _), failure in zip(group, failures, strict=True) if not failure
            )
            self._flow.count_written(sum(placed), seconds)
            for (_, result), failure in zip(group, failures, strict=True):
                result.set_result(failure)
