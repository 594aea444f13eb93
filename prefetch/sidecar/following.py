"""The manifests of a sidecar: looked at again and again, read when they changed, refused when they cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from prefetch.errors import ManifestError, PrefetchError, TransientError, UsageError
from prefetch.given import Given, Written
from prefetch.inputs import Included, Inputs, read_includes, read_inputs
from prefetch.net.daemon import in_daemon_thread
from prefetch.sidecar.backoff import Backoff
from prefetch.sidecar.bulletin import Bulletin
from prefetch.sidecar.herald import About
from prefetch.sidecar.pages import Pages, Unseen
from prefetch.sidecar.target import Target

__all__ = ["Following"]

EVERY = 2.0
"""Seconds between two looks at files: their bytes are compared, for a network volume's times are whole seconds."""

PATIENCE = 2.0
"""Seconds that a look waits for an address, which may hang for minutes while files change."""

FIRST_RETRY = 5.0
"""Seconds until an address that has not answered yet is asked for the second time."""

Mark = tuple[Inputs | None, tuple[str | None, ...]]
"""What the manifests, their locks and their includes hold; None for what is not there."""


class Following:
    """Makes targets of manifests, the first and then each new one.

    Args:
        find: which manifests there are now; raises UsageError where there is none.
        pages: those at addresses.
        load: reads them. Blocking; raises PrefetchError.
        recall: what they were the last time, None where nobody knows. Blocking.
        poll: seconds after which manifests that cannot be used are read again, whether they have changed or not.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Given]],
        pages: Pages,
        load: Callable[[Sequence[Path | Written]], Target],
        recall: Callable[[], Target | None],
        *,
        poll: float,
        bulletin: Bulletin,
    ) -> None:
        self._find = find
        self._pages = pages
        self._load = load
        self._recall = recall
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
        """What the manifests want now, or wanted the last time where they cannot be had or used.

        Raises:
            PrefetchError: they cannot be used, nothing is remembered, and no other try would help.
        """
        backoff = Backoff(min(self._poll, FIRST_RETRY))
        about: About
        error: PrefetchError
        asking = False
        while True:
            try:
                # A question that is under way is not asked anew: who answers slowly would never be heard.
                manifests = await self._manifests(now=not asking, patience=PATIENCE)
                return await self._read(manifests, await self._mark(manifests))
            except Unseen as unseen:
                about, error, asking = "address", unseen.error, unseen.asking
            except ManifestError as broken:
                about, error, asking = "manifest", broken, False
            if isinstance(error, UsageError) and not isinstance(error, ManifestError):
                raise error
            if (recalled := await in_daemon_thread(self._recall, name="manifests")) is not None:
                self._bulletin.wrong(about, error, instead="The copy on the volume is used: what it was the last time.")
                self._target = recalled
                return recalled
            if not isinstance(error, TransientError):
                raise error
            self._bulletin.wrong(about, error, instead="It is asked again until it answers.")
            await (self._pages.answered() if asking else asyncio.sleep(backoff.next()))

    async def follow(self, post: Callable[[Target], None]) -> None:
        """Post every new target, for ever."""
        try:
            while True:
                await self._follow(post)
        finally:
            await self._pages.stop()

    async def _follow(self, post: Callable[[Target], None]) -> None:
        pause = min(EVERY, self._poll)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._asked.wait()
        asked = self._asked.is_set()
        self._asked.clear()
        self._refused_for += pause
        if (target := await self._look(asked=asked)) is not None:
            post(target)

    async def _look(self, *, asked: bool) -> Target | None:
        """The target, if it is a new one or was asked for."""
        try:
            manifests = await self._manifests(now=asked, patience=PATIENCE)
            mark = await self._mark(manifests)
            # A file that is being written changes from look to look: what was read of it could pass for the whole.
            settled, self._seen = mark == self._seen, mark
            again = self._bulletin.is_wrong("manifest") and self._refused_for >= self._poll
            if asked or again or (settled and mark != self._taken):
                return await self._read(manifests, mark)
        except Unseen as unseen:
            self._bulletin.wrong("address", unseen.error)
        except PrefetchError as error:
            self._bulletin.wrong("manifest", error)
        return self._target if asked else None

    async def _read(self, manifests: Sequence[Path | Written], mark: Mark) -> Target:
        self._taken, self._refused_for = mark, 0.0
        target = await in_daemon_thread(partial(self._load, manifests), name="manifests")
        self._target, self._includes = target, () if target.wanted.inputs is None else target.wanted.inputs.includes
        # As they were read: what became of them since is a change.
        self._taken = (mark[0], tuple(include.sha256 for include in self._includes))
        self._bulletin.well("manifest")
        return target

    async def _manifests(self, *, now: bool, patience: float | None) -> list[Path | Written]:
        given = await in_daemon_thread(self._find, name="manifests")
        return await self._pages.at_hand(given, now=now, patience=patience)

    async def _mark(self, manifests: Sequence[Path | Written]) -> Mark:
        return await in_daemon_thread(
            lambda: (read_inputs(manifests), read_includes(self._includes, manifests)), name="manifests"
        )
