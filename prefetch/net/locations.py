"""Where a file's bytes are right now: found once for all who ask, found again ahead of expiry or after a refusal."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prefetch.net.credentials import Credential
from prefetch.net.urls import OriginKey, SecretURL

__all__ = ["Location", "LocationCache", "Locator", "refresh_time"]

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
    """

    url: SecretURL
    began_at: str
    credentials: tuple[Credential, ...] = ()
    expires_at: float | None = None


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
    """The location of one file, shared by all its connections."""

    def __init__(self, locator: Locator, *, known: Location | None = None, clock: Callable[[], float] = time.time):
        self._locator = locator
        self._clock = clock
        self._known = known
        self._refresh_at = refresh_time(known, now=clock())
        self._search: asyncio.Task[Location] | None = None

    @property
    def next_asked(self) -> OriginKey:
        """Who will be asked first for the next range: the host it lies at, or the one that knows where it lies."""
        fresh = self._known is not None and self._clock() < self._refresh_at
        return self._known.url.origin if self._known is not None and fresh else self._locator.origin

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

    async def _find(self) -> Location:
        try:
            location = await self._locator.locate()
            self._known, self._refresh_at = location, refresh_time(location, now=self._clock())
            return location
        finally:
            self._search = None


def refresh_time(location: Location | None, *, now: float) -> float:
    """When to ask anew for a location obtained at ``now``, in epoch seconds.

    One that has expired on arrival says that the two clocks disagree, not that it is useless: it is never refreshed
    ahead.
    """
    if location is None or location.expires_at is None or location.expires_at <= now:
        return math.inf
    return location.expires_at - min(_REFRESH_AHEAD, _REFRESH_SHARE * (location.expires_at - now))
