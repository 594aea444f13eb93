"""How fast and how wide: the bandwidth cap and the budget of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prefetch.transfer.load import Load

__all__ = ["Budget", "RateLimit"]


class RateLimit:
    """A bandwidth cap in bytes a second, shared by every connection.

    Bytes are paid for after they arrived: a reader that must wait stops reading, and TCP slows the sender down.
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
        """Account for ``count`` bytes; the seconds the reader should wait before it reads on."""
        now = self._clock()
        # Unused time is forgiven but for a tenth of a second, or a pause would buy a burst above the cap.
        self._paid_until = max(self._paid_until, now - 0.1) + count / self._rate
        return max(0.0, self._paid_until - now)

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes fit under the cap."""
        if wait := self.debt(count):
            await asyncio.sleep(wait)


class Budget:
    """How many connections may be open: grows while more of them bring more bytes, shrinks on errors and overload.

    A volume or a link has a speed that more connections do not raise; a host that answers 429 or resets has one that
    more connections lower. Where the volume or this machine is what is slow, connections wait for it full of bytes:
    more of them cost memory and time, and a kill costs what they hold. None of this can be configured by someone who
    has not measured it.
    """

    FIRST = 16
    FEWEST = 8
    STEP = 4
    WORTH_IT = 1.05
    PATIENCE = 5

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._best = 0.0
        self._idle_ticks = 0
        self._shrunk = False
        self.target = min(self.FIRST, limit)

    def tick(self, *, speed: float, used: int, load: Load = Load.LIGHT) -> None:
        """Take note of the summed ``speed`` (bytes/s) reached with ``used`` connections since the last tick."""
        self._shrunk = False
        if load is Load.FULL:
            self.target = max(min(self.FEWEST, self.target), self.target - self.STEP)
        if load is not Load.LIGHT or used < self.target or self.target >= self._limit:
            return
        self._idle_ticks += 1
        if speed > self._best * self.WORTH_IT or self._idle_ticks >= self.PATIENCE:
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
