"""The event loop that counts its idle time."""

from __future__ import annotations

import asyncio
import time

from prefetch.loop import Loop, idle_seconds

BUSY = 0.05


def test_waiting_counts_and_working_does_not() -> None:
    async def story() -> tuple[float, float, float]:
        began = time.perf_counter()
        start = idle_seconds() or 0.0
        while time.perf_counter() - began < BUSY:
            pass
        await asyncio.sleep(0)
        worked = (idle_seconds() or 0.0) - start
        await asyncio.sleep(BUSY)
        return worked, (idle_seconds() or 0.0) - start - worked, time.perf_counter() - began

    with asyncio.Runner(loop_factory=Loop) as runner:
        worked, waited, whole = runner.run(story())
    assert BUSY * 0.9 < waited < whole - worked
    assert worked < whole - BUSY


def test_another_loop_does_not_tell() -> None:
    async def story() -> float | None:
        return idle_seconds()

    assert asyncio.run(story()) is None
