"""One byte of a file tells where it is, how large, and whether ranges work: many hosts answer HEAD wrongly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prefetch.net.checks import Accepted, Asked
from prefetch.net.client import Session
from prefetch.net.credentials import Credential
from prefetch.net.headers import signed_expiry, strong_etag
from prefetch.net.http import check_answer
from prefetch.net.locations import Location, Locator
from prefetch.net.request import Answer, get
from prefetch.net.urls import SecretURL

__all__ = ["Probed", "probe"]


@dataclass(frozen=True, slots=True)
class Probed:
    """Where the byte came from, what the answer says of the file, and its strong validator."""

    location: Location
    accepted: Accepted
    etag: str | None


async def probe(
    session: Session,
    url: SecretURL,
    locator: Locator,
    *,
    credentials: Sequence[Credential],
    size: int | None,
    verified: bool,
    check: Callable[[Answer], None] | None = None,
) -> Probed:
    """Ask for the first byte of the file that ``locator`` means, at ``url``, and follow where that leads.

    Args:
        credentials: what the requests may carry, each to its own origin.
        size: bytes, where known.
        verified: whether a hash of the whole file is known.
        check: raises for an answer that means something else with this host than with any other.

    Raises:
        AccessError, SourceError, ContentError, TransientError: see `check_response`.
    """
    async with get(session, url, headers={"Range": "bytes=0-0"}, credentials=credentials) as answer:
        if check is not None:
            check(answer)
        host, remedy = answer.url.host, locator.access_remedy
        asked = Asked(locator.name, host, 0, 1, size=size, verified=verified, access_remedy=remedy)
        accepted = await check_answer(answer, asked, now=time.time())
        location = Location(answer.url, url.host, tuple(credentials), signed_expiry(answer.url.reveal()))
        return Probed(location, accepted, strong_etag(answer.response.headers.get("ETag")))
