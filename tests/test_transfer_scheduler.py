"""Connections that find nothing to fetch: who looks again, and when."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from prefetch.transfer.limits import Budget
from prefetch.transfer.scheduler import Scheduler

CONNECTIONS = 16


class Ranges:
    """Ranges that count how often somebody asks for one, and give as many as there are."""

    def __init__(self) -> None:
        self.left = 0
        self.asked = 0

    @property
    def has_pending(self) -> bool:
        self.asked += 1
        return self.left > 0

    def take(self, length: object) -> Any:
        self.left -= 1
        return SimpleNamespace(host="host"), 0, 1

    def begin(self, segment: object) -> None:
        """It is not looked at any more."""

    def split(self) -> None:
        return None

    bytes_wanted = 0
    segments = ()


class Large:
    """All that a scheduler looks at of a download, and of its order."""

    size = 1 << 40
    generation = 0

    def __init__(self) -> None:
        self.ranges = Ranges()
        self.order = self


def test_a_change_has_one_of_those_who_wait_look_and_the_next_one_only_if_it_finds_something() -> None:
    async def story() -> None:
        scheduler = Scheduler([], budget=Budget(CONNECTIONS), range_size=lambda host: 1)
        download: Any = Large()
        scheduler._downloads.append(download)
        waiting = [asyncio.create_task(scheduler.take(_nobody)) for _ in range(CONNECTIONS)]
        await _settled()
        ranges = download.ranges
        for found, looks in ((0, 1), (1, 2), (3, 4)):
            ranges.left, ranges.asked = found, 0
            scheduler.changed()
            await _settled()
            assert ranges.left == 0, "a connection slept although there was something to fetch"
            assert ranges.asked == looks
        assert sum(task.done() for task in waiting) == 4
        for task in waiting:
            task.cancel()

    asyncio.run(story())


async def _settled() -> None:
    for _ in range(5 * CONNECTIONS):
        await asyncio.sleep(0)


async def _nobody(order: object) -> None:
    raise AssertionError("nothing is queued")
