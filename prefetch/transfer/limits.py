"""How fast and how wide: the bandwidth cap and the budget of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prefetch.transfer.load import Load
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Budget", "RateLimit"]


class RateLimit:
    """A bandwidth cap in bytes a second, shared by every connection.

    Bytes are paid for before they are received, so that no second brings more than the cap, nor does the first one, in
    which every connection begins. A reader that must wait does not read, and TCP slows the sender down.
    """

    def __init__(self, rate: int, *, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._paid_until = clock()

    @property
    def portion(self) -> int:
        """Bytes to receive between two waits: a twentieth of a second's, or a connection would seem to stall."""
        return max(4096, self._rate // 20)

    def debt(self, count: int) -> float:
        """Account for ``count`` bytes; the seconds the reader should wait before it reads them."""
        now = self._clock()
        # Unused time is forgiven but for a tenth of a second, or a pause would buy a burst above the cap.
        self._paid_until = max(self._paid_until, now - 0.1) + count / self._rate
        return max(0.0, self._paid_until - now)

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes fit under the cap."""
        if wait := self.debt(count):
            await asyncio.sleep(wait)

    def give_back(self, count: int) -> None:
        """Of what was taken, ``count`` bytes did not come."""
        self._paid_until -= count / self._rate


class Budget:
    """How many connections may be open: grows while more of them bring more bytes, shrinks on errors and overload.

    A volume or a link has a speed that more connections do not raise; a host that answers 429 or resets has one that
    more connections lower. Where the volume or this machine is what is slow, connections wait for it full of bytes:
    more of them cost memory and time, and a kill costs what they hold. None of this can be configured by someone who
    has not measured it.

    Under a cap there are only as many as can each finish a block every few seconds. More of them would all hold
    unfinished blocks, which a stop loses, and small models would get a small share. Where these do not reach the cap,
    there are more by and by.

    Args:
        limit: how many may be open at most.
        cap: bytes a second that they may bring together; None for no cap.
    """

    FIRST = 16
    FIRST_CAPPED = 2
    SECONDS_A_BLOCK = 2.0
    AT_THE_CAP = 0.9
    FEWEST = 8
    STEP = 4
    WORTH_IT = 1.05
    PATIENCE = 5

    def __init__(self, limit: int, *, cap: int | None = None) -> None:
        self._limit = limit
        self._cap = cap
        self._best = 0.0
        self._idle_ticks = 0
        self._shrunk = False
        enough = self.FIRST if cap is None else int(cap * self.SECONDS_A_BLOCK / BLOCK_SIZE)
        self.target = min(self.FIRST, max(self.FIRST_CAPPED, enough), limit)

    def tick(self, *, speed: float, used: int, load: Load = Load.LIGHT) -> None:
        """Take note of the summed ``speed`` (bytes/s) reached with ``used`` connections since the last tick."""
        self._shrunk = False
        if load is Load.FULL:
            self.target = max(min(self.FEWEST, self.target), self.target - self.STEP)
        if load is not Load.LIGHT or used < self.target or self.target >= self._limit:
            return
        if self._cap is not None and speed >= self._cap * self.AT_THE_CAP:
            self._idle_ticks = 0
            return
        self._idle_ticks += 1
        # Under a cap it takes longer than the first connections' start to see that they do not reach it.
        rises = self._cap is None and speed > self._best * self.WORTH_IT
        if rises or self._idle_ticks >= self.PATIENCE:
            self._best = max(speed, self._best)
            self._idle_ticks = 0
            self.target = min(self._limit, self.target + self.STEP)

    def failed(self) -> None:
        """A connection failed in a way that fewer connections may cure. Those that fail together count once."""
        if self._shrunk:
            return
        self._shrunk = True
        self.target = max(1, self.target * 3 // 4)
        self._best = 0.0
        self._idle_ticks = -self.PATIENCE
