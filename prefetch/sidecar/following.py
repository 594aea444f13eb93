"""The manifests of a sidecar: looked at again and again, read when they changed, refused when they cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from prefetch.errors import PrefetchError, TransientError
from prefetch.given import Given, Written
from prefetch.inputs import Included, Inputs, read_includes, read_inputs
from prefetch.net.daemon import in_daemon_thread
from prefetch.sidecar.backoff import Backoff
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.pages import Pages
from prefetch.sidecar.target import Target

__all__ = ["Following"]

EVERY = 2.0
"""Seconds between two looks at files: their bytes are compared, for a network volume's times are whole seconds."""

Mark = tuple[Inputs | None, tuple[str | None, ...]]
"""What the manifests, their locks and their includes hold; None for what is not there."""


class Following:
    """Makes targets of manifests, the first and then each new one.

    Args:
        find: which manifests there are now; raises UsageError where there is none.
        pages: those at addresses.
        load: reads them. Blocking; raises PrefetchError.
        poll: seconds after which manifests that cannot be used are read again, whether they have changed or not.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Given]],
        pages: Pages,
        load: Callable[[Sequence[Path | Written]], Target],
        *,
        poll: float,
        bulletin: Bulletin,
    ) -> None:
        self._find = find
        self._pages = pages
        self._load = load
        self._poll = poll
        self._bulletin = bulletin
        self._asked = asyncio.Event()
        self._target: Target | None = None
        self._includes: tuple[Included, ...] = ()
        self._taken: Mark | None = None
        self._seen: Mark | None = None
        self._refused_for = 0.0

    def ask(self) -> None:
        """Look at once, at addresses too, and post what is wanted even if it is what was wanted before."""
        self._asked.set()

    async def first(self) -> Target:
        """What the manifests want now.

        Raises:
            PrefetchError: they cannot be used, and no other try would help.
        """
        backoff = Backoff(min(self._poll, 5.0))
        while True:
            try:
                manifests = await self._manifests(now=True)
                return await self._read(manifests, await self._mark(manifests))
            except TransientError as error:
                delay = backoff.next()
                self._bulletin.wrong("address", error)
                await asyncio.sleep(delay)

    async def follow(self, post: Callable[[Target], None]) -> None:
        """Post every new target, for ever."""
        pause = min(EVERY, self._poll)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            asked = self._asked.is_set()
            self._asked.clear()
            self._refused_for += pause
            try:
                if (target := await self._look(asked=asked)) is not None:
                    post(target)
            except PrefetchError as error:
                self._bulletin.wrong("manifest", error)
                if asked and self._target is not None:
                    post(self._target)

    async def _look(self, *, asked: bool) -> Target | None:
        """The target, if it is a new one or was asked for."""
        manifests = await self._manifests(now=asked)
        mark = await self._mark(manifests)
        # A file that is being written changes from look to look: what was read of it could pass for the whole.
        settled, self._seen = mark == self._seen, mark
        again = self._bulletin.is_wrong("manifest") and self._refused_for >= self._poll
        if not asked and not again and (mark == self._taken or not settled):
            return None
        return await self._read(manifests, mark)

    async def _read(self, manifests: Sequence[Path | Written], mark: Mark) -> Target:
        self._taken, self._refused_for = mark, 0.0
        target = await in_daemon_thread(partial(self._load, manifests), name="manifests")
        self._target, self._includes = target, () if target.wanted.inputs is None else target.wanted.inputs.includes
        # As they were read: what became of them since is a change.
        self._taken = (mark[0], tuple(include.sha256 for include in self._includes))
        self._bulletin.well("manifest")
        return target

    async def _manifests(self, *, now: bool) -> list[Path | Written]:
        given = await in_daemon_thread(self._find, name="manifests")
        return await self._pages.at_hand(given, now=now)

    async def _mark(self, manifests: Sequence[Path | Written]) -> Mark:
        return await in_daemon_thread(
            lambda: (read_inputs(manifests), read_includes(self._includes, manifests)), name="manifests"
        )
