"""An HTTP host as an `Origin`: byte ranges from wherever the file is right now, every response checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from prefetch.errors import AccessError, SourceError, TransientError
from prefetch.net.body import open_body
from prefetch.net.checks import Accepted, Asked, OtherValidator, check_response, is_error_page
from prefetch.net.client import Session
from prefetch.net.credentials import headers_for
from prefetch.net.headers import strong_etag
from prefetch.net.locations import MOST_REFUSED, Location, LocationCache, Locator
from prefetch.net.origin import Body, RangesUnsupported
from prefetch.net.pages import describe, read_start
from prefetch.net.request import Answer, get
from prefetch.net.retry import FullJitter
from prefetch.net.urls import OriginKey, origin_text

__all__ = ["HttpOrigin", "check_answer"]

QUESTIONS = 6
"""Answers that are compared to tell a file that has changed from a host that names it differently each time."""
_USED_UP = (
    "It answered before, so the link may be good for one request only, or have run out: name an address that can be "
    "asked again and again."
)
_REFUSED = frozenset({400, 401, 403, 404, 410})


class HttpOrigin:
    """One file on an HTTP host.

    Args:
        session: the run's session.
        locator: finds the file's current location; the refusals of its own origin are final.
        location: where the file was just found, if it was.
        way_in: its own address, if every request finds the way from there.
        size: bytes, where known; else the first response's.
        verified: whether a hash of the whole file is known; else ``etag`` watches over its identity.
        etag: the strong validator the file had when it was resolved.
        ranges: whether byte ranges are known to work.
        wait: how long between two addresses that are refused.
        clock: epoch seconds.
    """

    def __init__(
        self,
        session: Session,
        locator: Locator,
        *,
        location: Location | None = None,
        way_in: Location | None = None,
        size: int | None = None,
        verified: bool = False,
        etag: str | None = None,
        ranges: bool | None = None,
        wait: FullJitter | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._locator = locator
        self._locations = LocationCache(locator, known=location, way_in=way_in, wait=wait, clock=clock)
        self._way_in = way_in
        self._has_answered = way_in is not None and location is not None
        self._size = size
        self._verified = verified
        self._etag = None if verified else etag
        self._ranges = ranges
        self._wavering: str = ""
        self._comparing = asyncio.Lock()
        self._clock = clock

    @property
    def host(self) -> str:
        return self._locator.origin[1]

    @property
    def ranges(self) -> bool | None:
        return False if self._wavering else self._ranges

    @property
    def pause(self) -> float:
        return max(self._session.pauses.left_for_files(self._locations.next_asked), self._locations.pause)

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        return self._open(start, stop)

    @asynccontextmanager
    async def _open(self, start: int, stop: int | None) -> AsyncIterator[Body]:
        async with AsyncExitStack() as stack:
            with self._locations.trying():
                answer, location = await self._ask_where_it_is(stack, start, stop)
                asked, accepted = await self._checked(stack, answer, start, stop)
            self._locations.accepted()
            self._locations.learn(location, answer.url)
            self._learn(accepted, asked)
            yield open_body(answer.response, asked, accepted)

    async def _ask_where_it_is(self, stack: AsyncExitStack, start: int, stop: int | None) -> tuple[Answer, Location]:
        answer, location = await self._ask(stack, start, stop)
        if self._is_stale(answer, location):
            # A link that ran out between two looks at the clock is nobody's fault, and not worth a word.
            await stack.aclose()
            answer, location = await self._ask(stack, start, stop)
        self._check_place(answer, location)
        return answer, location

    async def _checked(
        self, stack: AsyncExitStack, answer: Answer, start: int, stop: int | None
    ) -> tuple[Asked, Accepted]:
        asked = self._asked(answer, start, stop)
        try:
            return asked, await check_answer(answer, asked, now=self._clock(), home=self._locator.origin)
        except OtherValidator as error:
            await stack.aclose()
            if not await self._wavers(error.etag):
                raise
            raise RangesUnsupported(self._wavering, told=True) from None
        except (AccessError, SourceError) as error:
            if answer.response.status in _REFUSED and self._has_answered:
                error.remedy = _USED_UP
            raise

    async def _wavers(self, etag: str) -> bool:
        """Whether the validator is one thing now and another then, though the file is the same.

        Machines behind one name may each have their own for the same bytes, or for others: nobody can tell, so what
        one answer brings is not put together with what another one does.
        """
        async with self._comparing:
            for _ in range(QUESTIONS):
                if self._wavering:
                    break
                async with AsyncExitStack() as stack:
                    answer, _ = await self._ask(stack, 0, 1)
                    if strong_etag(answer.response.headers.get("ETag")) not in (None, etag):
                        self._wavering = f"{answer.url.host} gives another ETag from one answer to the next"
        return bool(self._wavering)

    async def _ask(self, stack: AsyncExitStack, start: int, stop: int | None) -> tuple[Answer, Location]:
        location = await self._locations.current()
        request = get(
            self._session,
            location.url,
            headers=_range_header(start, stop),
            credentials=location.credentials,
            began_at=location.began_at,
        )
        return await stack.enter_async_context(request), location

    def _is_stale(self, answer: Answer, location: Location) -> bool:
        """Whether a refusal only says that the address is too old."""
        if not self._is_refused(answer, location) or location.expires_at is None or location.expires_at > self._clock():
            return False
        self._locations.discard(location)
        return True

    def _check_place(self, answer: Answer, location: Location) -> None:
        """A refusal at another address than the file's own says that the way is stale, not that the file is gone."""
        if not self._is_refused(answer, location):
            return
        status, cdn, name = answer.response.status, answer.url.host, self._locator.name
        expired = location.expires_at is not None and location.expires_at <= self._clock()
        error = TransientError(
            f"{cdn} refuses {name} ({status}); {self.host} is asked for a new address.",
            cause="expired" if expired else f"cdn_{status}",
        )
        if self._locations.refused(location, error):
            raise SourceError(
                f"{cdn} refuses {name} at each of {MOST_REFUSED} addresses that {self.host} gave one after another "
                f"({status}).",
                remedy="Try again later, or add a mirror: the host names the file and does not give it.",
            )
        raise error

    def _is_refused(self, answer: Answer, location: Location) -> bool:
        """Whether another address may be given, since it is not the file's own that is refused."""
        if answer.response.status not in _REFUSED:
            return False
        known = self._way_in is not None and not location.is_way_in and location.url != self._way_in.url
        return known or answer.url.origin != self._locator.origin

    def _asked(self, answer: Answer, start: int, stop: int | None) -> Asked:
        return Asked(
            self._locator.name,
            answer.url.host,
            start,
            stop,
            size=self._size,
            # One answer that is read from the start to the end is the file as one machine has it.
            etag=None if self._wavering and start == 0 else self._etag,
            verified=self._verified,
            access_remedy=self._locator.access_remedy,
            hide=answer.sent.hide,
        )

    def _learn(self, accepted: Accepted, asked: Asked) -> None:
        if _range_header(asked.start, asked.stop):
            self._ranges = accepted.ranged
        if self._size is None:
            self._size = accepted.total


async def check_answer(answer: Answer, asked: Asked, *, now: float, home: OriginKey) -> Accepted:
    """`check_response`, with what an error page says read into the error.

    Args:
        home: the host that ``asked.access_remedy`` is about: a refusal by another one says nothing of its secrets.
    """
    response = answer.response
    if answer.url.origin != home:
        asked = replace(asked, access_remedy=_remedy_elsewhere(answer, home))
    received = ""
    if is_error_page(response.status, response.headers, asked.name):
        received = describe(response.content_type, await read_start(response), hide=answer.sent.hide)
    return check_response(response.status, response.headers, asked, now=now, received=received)


def _remedy_elsewhere(answer: Answer, home: OriginKey) -> str:
    """What to do where a host refuses that ``home`` led to."""
    at = origin_text(answer.url.origin)
    if headers_for(answer.url, answer.sent.credentials):
        return f"Check the secret that PREFETCH_TOKENS or PREFETCH_HEADERS gives for {at}."
    return (
        f"{home[1]} leads there, and no secret is sent along. Run the same command again; if {at} wants a token of its "
        f"own, put it into a variable and set PREFETCH_TOKENS to {at}=VARIABLE."
    )


def _range_header(start: int, stop: int | None) -> dict[str, str]:
    if (start, stop) == (0, None) or (stop is not None and stop <= start):
        # What has no end that is known is asked for whole: hosts tell where an answer ends, but not always whether that
        # is the end of the file.
        return {}
    return {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
