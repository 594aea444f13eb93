"""How many requests each host still takes in its present window: counted, so that none has to be refused to learn it.

A host tells with each answer how many are left (``RateLimit``) and how many a new window begins with
(``RateLimit-Policy``). What is under way may be counted in that already or not, so it is taken off once more.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from prefetch.net.headers import RequestsLeft, requests_left
from prefetch.net.urls import SecretURL

__all__ = ["Quotas"]

LOOK = 1.0
"""Seconds between two looks while others' answers may tell that there is room."""
SPREAD = 0.5
"""Up to so many seconds are waited on top, so that those who wait do not come back all at once."""


class Quotas:
    """Belongs to one run, and to its event loop; `note` may be called from any thread.

    Args:
        clock: seconds that only grow.
        sleep: waits that long.
        uniform: draws from ``[0, 1)``.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._quotas: dict[tuple[object, ...], _Quota] = {}

    @asynccontextmanager
    async def turn(self, url: SecretURL) -> AsyncIterator[None]:
        """Wait until there is room for a request for ``url``; it is under way until the block is left."""
        quota = self._of(url)
        while wait := quota.wait(self._clock()):
            await self._sleep(min(wait, LOOK) + self._uniform() * SPREAD)
        quota.under_way += 1
        try:
            yield
        finally:
            quota.under_way -= 1

    def note(self, url: SecretURL, headers: Mapping[str, str]) -> None:
        """Take note of what an answer for ``url`` tells."""
        if (told := requests_left(headers)) is not None:
            self._of(url).learn(told, self._clock())

    def _of(self, url: SecretURL) -> _Quota:
        # The Hub counts its API and its files apart; a host that does not tells the same of both.
        return self._quotas.setdefault((url.origin, url.path.startswith("/api/")), _Quota())


class _Quota:
    """What is known of one window and the next.

    Attributes:
        under_way: requests that were sent and not answered.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self._left: int | None = None
        self._until = 0.0
        self._next: RequestsLeft | None = None

    def wait(self, now: float) -> float:
        """Seconds until there may be room for another request; 0 if there is."""
        if now >= self._until:
            self._begin(now)
        room = self._left is None or self._left > self.under_way
        return 0.0 if room else self._until - now

    def learn(self, told: RequestsLeft, now: float) -> None:
        until = now + told.seconds
        if self._left is None or until > self._until + LOOK:
            self._left, self._until = told.left, until
        else:
            # Answers overtake each other: of one window the least is what was told last.
            self._left = min(self._left, told.left)
        self._next = told

    def _begin(self, now: float) -> None:
        """A new window has begun, as large as the policy says."""
        following = self._next
        if following is None or following.quota is None or following.window is None:
            self._left = None
        else:
            self._left, self._until = following.quota, now + following.window
