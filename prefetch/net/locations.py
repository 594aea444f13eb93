"""Where a file's bytes are right now: found once for all who ask, found again ahead of expiry or after a refusal."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from prefetch.errors import TransientError
from prefetch.net.credentials import Credential
from prefetch.net.headers import signed_expiry
from prefetch.net.retry import FullJitter
from prefetch.net.urls import OriginKey, SecretURL

__all__ = ["MOST_REFUSED", "Location", "LocationCache", "Locator", "refresh_time"]

MOST_REFUSED = 8
"""Addresses in a row that may be refused before the file is given up. Some hosts refuse a file for half a minute."""
_TRIAL = 0.1
"""Seconds between two looks at whether the one range that tries a new address has had its answer."""
_REFRESH_AHEAD = 300.0  # seconds, or
_REFRESH_SHARE = 0.2  # of a location's life, whichever is less


@dataclass(frozen=True, slots=True)
class Location:
    """An address to read from.

    Attributes:
        url: often signed, then good for a while only.
        began_at: the host whose answer led here; the host of ``url`` itself where nobody redirected.
        credentials: what requests may carry, each to its own origin.
        expires_at: when the signature ends, in epoch seconds; None where the address does not tell.
        is_way_in: whether it is the file's own address, from which every request finds the way by itself.
    """

    url: SecretURL
    began_at: str
    credentials: tuple[Credential, ...] = ()
    expires_at: float | None = None
    is_way_in: bool = False


class Locator(Protocol):
    """Knows which file is meant and asks the host that answers for it where it is."""

    @property
    def origin(self) -> OriginKey:
        """The host that answers for the file."""
        ...

    @property
    def name(self) -> str:
        """The file's own name."""
        ...

    @property
    def access_remedy(self) -> str:
        """The sentence that says what to do when that host wants a credential."""
        ...

    async def locate(self) -> Location:
        """Ask once. Every call returns a new object, so that an old location can be told from a new one.

        Raises:
            PrefetchError: the host refuses, or is out of reach for now.
        """
        ...


class LocationCache:
    """The location of one file, shared by all its connections.

    Where one location after the other is refused, they are tried by one connection at a time, and ever more seldom.

    To ask where the file is may cost the answer: there are hosts whose links are good for one request. So where a
    location is refused, the next request goes the whole way itself, if there is one. The location that it comes to
    serves the others; if that is refused too, each of them goes the whole way.

    Args:
        way_in: the file's own address, if every request finds the way from there.
        known: where the file was just found, if it was.
        wait: how long between two locations that are refused.
        clock: epoch seconds.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        locator: Locator,
        *,
        known: Location | None = None,
        way_in: Location | None = None,
        wait: FullJitter | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._locator = locator
        self._wait = wait or FullJitter()
        self._clock = clock
        self._monotonic = monotonic
        self._refused = 0
        self._not_before = 0.0
        self._on_trial = False
        self._known = known
        self._way_in = way_in
        self._learned: Location | None = None
        self._used_up = False
        self._refresh_at = refresh_time(known, now=clock())
        self._search: asyncio.Task[Location] | None = None

    @property
    def next_asked(self) -> OriginKey:
        """Who will be asked first for the next range: the host it lies at, or the one that knows where it lies."""
        fresh = self._known is not None and self._clock() < self._refresh_at
        return self._known.url.origin if self._known is not None and fresh else self._locator.origin

    @property
    def pause(self) -> float:
        """Seconds until the next location should be tried; 0 if that may be now."""
        return max(self._not_before - self._monotonic(), _TRIAL if self._on_trial else 0.0, 0.0)

    async def current(self) -> Location:
        """The location to use for the next request; however many ask at once, the host is asked once."""
        if self._known is not None and self._clock() < self._refresh_at:
            return self._known
        if self._search is None:
            self._search = asyncio.create_task(self._find())
        # One who stops waiting must not take the answer away from the others.
        return await asyncio.shield(self._search)

    def discard(self, location: Location) -> None:
        """Never hand out ``location`` again; without effect where another has already taken its place."""
        if self._known is location:
            self._known = None

    def refused(self, location: Location, error: TransientError) -> bool:
        """``location`` was refused, as ``error`` says; True if too many in a row were for another one to be tried."""
        if self._known is location:
            self._known = None
            self._refused += 1
            self._used_up = self._used_up or location is self._learned
            if self._refused > 1:
                # One refusal is mostly a link that ran out: the next one is good, and is tried at once.
                self._not_before = self._monotonic() + self._wait.delay(error, self._refused - 1)
        return self._refused >= MOST_REFUSED

    @contextmanager
    def trying(self) -> Iterator[None]:
        """While the answer to a request is awaited: where the last location was refused, the others wait for it."""
        if not self._refused:
            yield
            return
        self._on_trial = True
        try:
            yield
        finally:
            self._on_trial = False

    def accepted(self) -> None:
        """The host has given bytes."""
        self._refused = 0

    def learn(self, location: Location, found: SecretURL) -> None:
        """The address ``found``, to which ``location`` led, gives bytes."""
        if location.is_way_in and self._known is location and not self._used_up:
            self._learned = Location(found, location.began_at, location.credentials, signed_expiry(found.reveal()))
            self._take(self._learned)

    async def _find(self) -> Location:
        try:
            if self._way_in is not None and (self._refused or self._used_up):
                return self._take(replace(self._way_in))
            return self._take(await self._locator.locate())
        finally:
            self._search = None

    def _take(self, location: Location) -> Location:
        self._known, self._refresh_at = location, refresh_time(location, now=self._clock())
        return location


def refresh_time(location: Location | None, *, now: float) -> float:
    """When to ask anew for a location obtained at ``now``, in epoch seconds.

    One that has expired on arrival says that the two clocks disagree, not that it is useless: it is never refreshed
    ahead.
    """
    if location is None or location.expires_at is None or location.expires_at <= now:
        return math.inf
    return location.expires_at - min(_REFRESH_AHEAD, _REFRESH_SHARE * (location.expires_at - now))
