"""The few threads that block on the volume and compute hashes, so that the event loop never does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

from prefetch.signals import interrupted

__all__ = ["Spawn", "Threads"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
"""Starts a coroutine whose failure ends the whole run."""


class Threads:
    """A pool whose jobs are awaited to their end even when the awaiting task is cancelled.

    A cancelled task that left a write behind in a thread would close the file under it, and the number of the closed
    descriptor may by then be another file's.
    """

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="volume")
        self._cancelled = False

    async def run(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Call ``function`` in a thread and return what it returns."""
        job = asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._cancelled = True
            await asyncio.wait([job])
            if not job.cancelled():
                # It was looked at: nobody else will ask what a job came to that nobody waits for.
                job.exception()
            raise

    def check(self, done: int = 0) -> None:
        """For a job of many seconds to call again and again: raises Interrupted once nobody waits for the jobs."""
        if self._cancelled:
            raise interrupted()

    async def timed(self, function: Callable[[*Ts], T], *arguments: *Ts) -> tuple[T, float]:
        """Do as `run` does; beside the result the seconds ``function`` took, not those it waited for a thread."""

        def timed() -> tuple[T, float]:
            began = time.perf_counter()
            result = function(*arguments)
            return result, time.perf_counter() - began

        return await self.run(timed)

    def close(self) -> None:
        """Drop the jobs that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)
