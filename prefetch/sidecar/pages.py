"""Manifests at addresses: asked for again and again, and kept as they came last while nobody answers."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from prefetch.errors import PrefetchError
from prefetch.given import Given, Remote, Written
from prefetch.sidecar.backoff import Backoff
from prefetch.sidecar.bulletin import Bulletin

__all__ = ["Fetch", "Pages"]

Fetch = Callable[[Remote], Awaitable[Written]]
"""Asks once for what is at an address; raises PrefetchError."""


class Pages:
    """What was found at each address.

    Args:
        poll: seconds between two questions.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        poll: float,
        bulletin: Bulletin,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._fetch = fetch
        self._poll = poll
        self._backoff = Backoff(poll, uniform=uniform)
        self._bulletin = bulletin
        self._clock = clock
        self._found: dict[Remote, Written] = {}
        self._due = 0.0

    async def at_hand(self, given: Sequence[Given], *, now: bool) -> list[Path | Written]:
        """The manifests, those at addresses as they were found last; with ``now`` everybody is asked again.

        Raises:
            PrefetchError: what is at an address was never seen yet, and cannot be had.
        """
        remotes = [each for each in given if isinstance(each, Remote)]
        if remotes and (now or self._clock() >= self._due):
            await self._ask(remotes)
        return [self._found[each] if isinstance(each, Remote) else each for each in given]

    async def _ask(self, remotes: Sequence[Remote]) -> None:
        try:
            for remote in remotes:
                self._found[remote] = await self._fetch(remote)
        except PrefetchError as error:
            self._due = self._clock() + self._backoff.next()
            if not all(remote in self._found for remote in remotes):
                raise
            self._bulletin.wrong("address", error)
        else:
            self._due = self._clock() + self._backoff.reset()
            self._bulletin.well("address")
