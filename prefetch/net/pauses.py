"""When each host may be asked: what it said of its limits in any answer, kept to by all who would ask it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from prefetch.net.bounds import PATIENCE
from prefetch.net.headers import RequestsLeft, rate_limit_reset, rate_limit_wait, requests_left, retry_after
from prefetch.net.quotas import Quota
from prefetch.net.retry import too_long
from prefetch.net.urls import OriginKey, SecretURL

__all__ = ["Pauses", "pause_told"]

SPREAD = 0.25
"""Up to this share of a pause is waited on top of it, so that those who wait do not come back all at once."""
LEAST_SPREAD = 0.5
"""The same in seconds, for short pauses."""
LOOK = 1.0
"""Seconds between two looks while others' answers may tell that there is room for another request."""


class Pauses:
    """Belongs to one run, and to its event loop; `hear` and `note` may be called from any thread.

    Args:
        longest: the most seconds that a host is waited for. One that asks for more is refused meanwhile, and may be
            asked again when they are over.
        clock: seconds that only grow.
        sleep: waits that long.
        uniform: draws from ``[0, 1)``.
    """

    def __init__(
        self,
        *,
        longest: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._longest = longest
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._pauses: dict[OriginKey, _Pause] = {}
        self._quotas: defaultdict[tuple[OriginKey, bool], Quota] = defaultdict(Quota)

    @asynccontextmanager
    async def turn(self, url: SecretURL) -> AsyncIterator[None]:
        """Wait until the host takes a request for ``url``, which is under way until the block is left.

        Raises:
            PatienceError: it wants no request for longer than one host may.
        """
        quota = self._quota(url)
        self._check(url)
        await self.wait(url.origin)
        while wait := quota.wait(self._clock()):
            await self._sleep(min(wait, LOOK) + self._uniform() * LEAST_SPREAD)
        quota.under_way += 1
        try:
            yield
        finally:
            quota.under_way -= 1

    def hear(self, url: SecretURL, status: int, headers: Mapping[str, str]) -> None:
        """Take note of what an answer for ``url`` says of the host's limits."""
        self.note(url.origin, pause_told(status, headers, now=time.time()))
        if (told := requests_left(headers)) is not None:
            self._quota(url).learn(_bounded(told, self._longest), self._clock())

    def note(self, host: OriginKey, seconds: float) -> None:
        """``host`` wants no request for so many seconds."""
        if seconds > 0:
            until = self._clock() + min(seconds, self._longest)
            known = self._pauses.get(host)
            if known is None or until > known.until:
                self._pauses[host] = _Pause(until, seconds)

    def left(self, host: OriginKey) -> float:
        """Seconds until ``host`` may be asked; 0 if it may be asked now."""
        pause = self._pauses.get(host)
        return 0.0 if pause is None else max(0.0, pause.until - self._clock())

    def left_for_files(self, host: OriginKey) -> float:
        """The same for a request that reads a file, or asks where it is: seconds until there may be room for one."""
        quota = self._quotas.get((host, False))
        return max(self.left(host), 0.0 if quota is None else quota.wait(self._clock()))

    async def wait(self, host: OriginKey) -> None:
        """Wait until ``host`` may be asked, and a little longer, each a different while."""
        while left := self.left(host):
            await self._sleep(left + self._uniform() * max(LEAST_SPREAD, SPREAD * left))

    def _check(self, url: SecretURL) -> None:
        pause, left = self._pauses.get(url.origin), self.left(url.origin)
        if pause is not None and left and pause.asked > self._longest:
            raise too_long(f"{url.host} takes no request now", pause.asked, self._longest, again=left)

    def _quota(self, url: SecretURL) -> Quota:
        # The Hub counts its API and its files apart; a host that does not tells the same of both.
        return self._quotas[url.origin, url.path.startswith("/api/")]


@dataclass(frozen=True, slots=True)
class _Pause:
    """What a host wants.

    Attributes:
        until: when it may be asked again: at the bound's end, if it asked for more.
        asked: the seconds it asked for.
    """

    until: float
    asked: float


def _bounded(told: RequestsLeft, longest: float) -> RequestsLeft:
    """The same, of windows that end in time."""
    window = None if told.window is None else min(told.window, longest)
    return replace(told, seconds=min(told.seconds, longest), window=window)


def pause_told(status: int, headers: Mapping[str, str], *, now: float) -> float:
    """Seconds for which the host wants no further request; 0 where it does not say.

    A spent ``RateLimit`` counts in any answer: it says that the next one will be a refusal. ``Retry-After`` counts
    where it is about the host, and not about the one file.
    """
    after = retry_after(headers.get("Retry-After"), now=now) if status in (429, 503) else None
    spent = rate_limit_wait(headers) if status == 429 and after is None else rate_limit_reset(headers)
    return max(spent or 0.0, after or 0.0)
