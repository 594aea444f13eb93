"""One byte of a file tells where it is, how large, and whether ranges work: many hosts answer HEAD wrongly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prefetch.errors import TransientError
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
    """Where the byte came from, and what the answer says of the file.

    Attributes:
        etag: its strong validator.
        ranges: whether the host serves ranges; None where that could not be asked.
        remark: what the host does that none should; else empty.
    """

    location: Location
    accepted: Accepted
    etag: str | None
    ranges: bool | None
    remark: str = ""


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

    async def ask(stop: int | None) -> Probed:
        headers = {} if stop is None else {"Range": f"bytes=0-{stop - 1}"}
        async with get(session, url, headers=headers, credentials=credentials) as answer:
            if check is not None:
                check(answer)
            host, remedy, hide = answer.url.host, locator.access_remedy, answer.sent.hide
            asked = Asked(locator.name, host, 0, stop, size=size, verified=verified, access_remedy=remedy, hide=hide)
            accepted = await check_answer(answer, asked, now=time.time(), home=locator.origin)
            location = Location(answer.url, url.host, tuple(credentials), signed_expiry(answer.url.reveal()))
            etag = strong_etag(answer.response.headers.get("ETag"))
            return Probed(location, accepted, etag, None if stop is None else accepted.ranged)

    try:
        return await ask(1)
    except TransientError as error:
        if error.cause != "protocol":
            raise
        # More bytes than were asked for are taken for the next answer, which makes no sense then.
        probed = await ask(None)
        return replace(probed, remark=f"{url.host} sends more than the one byte that it is asked for first.")
