"""An HTTP host as an `Origin`: byte ranges from wherever the file is right now, every response checked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prefetch.errors import TransientError
from prefetch.net.body import open_body
from prefetch.net.checks import Accepted, Asked, check_response, is_error_page
from prefetch.net.client import Session
from prefetch.net.locations import Location, LocationCache, Locator
from prefetch.net.origin import Body
from prefetch.net.pages import describe, read_start
from prefetch.net.request import Answer, get

__all__ = ["HttpOrigin", "check_answer"]

_REFUSED = frozenset({400, 401, 403, 404, 410})


class HttpOrigin:
    """One file on an HTTP host.

    Args:
        session: the run's session.
        locator: finds the file's current location; the refusals of its own origin are final.
        location: where the file was just found, if it was.
        size: bytes, where known; else the first response's.
        verified: whether a hash of the whole file is known; else ``etag`` watches over its identity.
        etag: the strong validator the file had when it was resolved.
        ranges: whether byte ranges are known to work.
        clock: epoch seconds.
    """

    def __init__(
        self,
        session: Session,
        locator: Locator,
        *,
        location: Location | None = None,
        size: int | None = None,
        verified: bool = False,
        etag: str | None = None,
        ranges: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._locator = locator
        self._locations = LocationCache(locator, known=location, clock=clock)
        self._size = size
        self._verified = verified
        self._etag = None if verified else etag
        self._ranges = ranges
        self._clock = clock

    @property
    def host(self) -> str:
        return self._locator.origin[1]

    @property
    def ranges(self) -> bool | None:
        return self._ranges

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        return self._open(start, stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int | None) -> AsyncIterator[Body]:
        location = await self._locations.current()
        request = get(
            self._session,
            location.url,
            headers=_range_header(start, stop),
            credentials=location.credentials,
            began_at=location.began_at,
        )
        async with request as answer:
            self._check_place(answer, location)
            asked = self._asked(answer, start, stop)
            accepted = await check_answer(answer, asked, now=self._clock())
            self._learn(accepted)
            yield open_body(answer.response, asked, accepted)

    def _check_place(self, answer: Answer, location: Location) -> None:
        """A refusal by another host than the file's own says that the way there is stale, not that the file is gone."""
        status = answer.response.status
        if status not in _REFUSED or answer.url.origin == self._locator.origin:
            return
        self._locations.discard(location)
        expired = location.expires_at is not None and location.expires_at <= self._clock()
        raise TransientError(
            f"{answer.url.host} refuses {self._locator.name} ({status}); {self.host} is asked for a new address.",
            cause="expired" if expired else f"cdn_{status}",
        )

    def _asked(self, answer: Answer, start: int, stop: int | None) -> Asked:
        return Asked(
            self._locator.name,
            answer.url.host,
            start,
            stop,
            size=self._size,
            etag=self._etag,
            verified=self._verified,
            access_remedy=self._locator.access_remedy,
        )

    def _learn(self, accepted: Accepted) -> None:
        self._ranges = accepted.ranged
        if self._size is None:
            self._size = accepted.total


async def check_answer(answer: Answer, asked: Asked, *, now: float) -> Accepted:
    """`check_response`, with what an error page says read into the error."""
    response = answer.response
    received = ""
    if is_error_page(response.status, response.headers, asked.name):
        received = describe(response.content_type, await read_start(response), sent=answer.sent)
    return check_response(response.status, response.headers, asked, now=now, received=received)


def _range_header(start: int, stop: int | None) -> dict[str, str]:
    if stop is not None and stop <= start:
        return {}
    return {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
