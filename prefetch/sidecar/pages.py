"""Manifests at addresses: asked for again and again, and kept as they came last while nobody answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from prefetch.errors import PrefetchError, TransientError
from prefetch.given import Given, Remote, Written
from prefetch.retrieving import Retrieved
from prefetch.sidecar.backoff import Backoff
from prefetch.sidecar.bulletin import Bulletin

__all__ = ["Fetch", "Pages", "Unseen"]

Fetch = Callable[[Remote, Retrieved | None], Awaitable[Retrieved]]
"""Asks once for what is at an address, told what was found there before; raises PrefetchError."""


class Unseen(Exception):
    """What is at an address was not seen yet, and ``error`` is why; ``asking`` where the answer may still come."""

    def __init__(self, error: PrefetchError, *, asking: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.asking = asking


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
        self._found: dict[Remote, Retrieved] = {}
        self._due = 0.0
        self._error: PrefetchError | None = None
        self._asking: asyncio.Task[None] | None = None

    async def at_hand(self, given: Sequence[Given], *, now: bool, patience: float | None) -> list[Path | Written]:
        """The manifests, those at addresses as they were found last; with ``now`` everybody is asked again.

        Args:
            patience: seconds that an answer is waited for: a later call gives it. None waits until there is one.

        Raises:
            Unseen: what is at an address was never seen yet, and cannot be had, or not yet.
        """
        remotes = [each for each in given if isinstance(each, Remote)]
        if remotes and (now or self._clock() >= self._due):
            await self._ask_beside(remotes, anew=now, patience=patience)
        if not self._found.keys() >= set(remotes):
            asking = self._asking is not None and not self._asking.done()
            raise Unseen(self._error or _unanswered(), asking=asking)
        return [self._found[each].written if isinstance(each, Remote) else each for each in given]

    async def answered(self) -> None:
        """Wait until the question that is under way, if any, has an answer or fails."""
        if self._asking is not None:
            await asyncio.wait({self._asking})

    async def stop(self) -> None:
        """Ask no more: what is under way is given up."""
        before, self._asking = self._asking, None
        if before is not None and not before.done():
            before.cancel()
            await asyncio.wait({before})

    async def _ask_beside(self, remotes: Sequence[Remote], *, anew: bool, patience: float | None) -> None:
        if anew:
            # What is asked already may have been answered before it changed.
            await self.stop()
        if (before := self._asking) is not None:
            if not before.done():
                return
            before.result()
        asking = self._asking = asyncio.create_task(self._ask(remotes))
        await asyncio.wait({asking}, timeout=patience)
        if asking.done():
            asking.result()

    async def _ask(self, remotes: Sequence[Remote]) -> None:
        try:
            for remote in remotes:
                self._found[remote] = await self._fetch(remote, self._found.get(remote))
        except PrefetchError as error:
            floor = error.floor if isinstance(error, TransientError) else 0.0
            self._due, self._error = self._clock() + floor + self._backoff.next(), error
            if self._found.keys() >= set(remotes):
                self._bulletin.wrong("address", error)
        else:
            self._due, self._error = self._clock() + self._backoff.reset(), None
            self._bulletin.well("address")


def _unanswered() -> TransientError:
    return TransientError("The manifest's address has not answered yet.", cause="stall")
