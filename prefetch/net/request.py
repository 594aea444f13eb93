"""One GET, its redirects followed by hand: every hop judged, every secret kept to the origin it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from prefetch.errors import SourceError
from prefetch.net.client import Session
from prefetch.net.credentials import Credential, headers_for
from prefetch.net.failures import connection_error
from prefetch.net.quoting import Sent
from prefetch.net.urls import SecretURL, origin_text

__all__ = ["Answer", "follow", "get"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 10
_ANSWER_TIMEOUT = 60.0  # seconds for name, connection, TLS and the response's headers together


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body is still to be read, and the address it came from after all redirects.

    Attributes:
        sent: what the requests that led there carried, which its words may repeat.
    """

    response: aiohttp.ClientResponse
    url: SecretURL
    sent: Sent = field(default_factory=Sent, repr=False)


@asynccontextmanager
async def get(
    session: Session,
    url: SecretURL,
    *,
    headers: Mapping[str, str],
    credentials: Sequence[Credential] = (),
    began_at: str | None = None,
) -> AsyncIterator[Answer]:
    """Ask for ``url`` and follow up to ten redirects; the connection of an unread body is closed on the way out.

    Args:
        headers: sent to every hop.
        credentials: each sent to its own origin only.
        began_at: the host whose redirect gave us ``url``, where that happened earlier.

    Raises:
        SourceError: the redirects end nowhere, lead out of https, or to an address that may not be reached.
        TransientError: no answer; the cause tells where it failed.
    """
    answer = await _follow_all(session, url, headers, credentials, began_at or url.host)
    try:
        yield answer
    finally:
        _leave(answer.response)


def _leave(response: aiohttp.ClientResponse) -> None:
    """Be done with a response; one whose body was read to its end has given its connection back already."""
    transport = response.connection.transport if response.connection is not None else None
    response.close()
    if transport is not None:
        # Closing TLS politely waits for the peer to agree, and one that stalled never does.
        transport.abort()


async def _follow_all(
    session: Session, url: SecretURL, headers: Mapping[str, str], credentials: Sequence[Credential], began_at: str
) -> Answer:
    seen = [url]
    while len(seen) <= _MAX_REDIRECTS + 1:
        response = await _send(session, seen[-1], headers, credentials, began_at)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or location is None:
            proxy = session.proxy_for(seen[-1])
            return Answer(response, seen[-1], Sent(tuple(seen) if proxy is None else (*seen, proxy), credentials))
        response.release()
        target = follow(seen[-1], location)
        if target in seen:
            raise SourceError(
                f"{url} redirects in a circle (back to {origin_text(target.origin)}).",
                remedy="Check the address in a browser.",
            )
        seen.append(target)
    raise SourceError(f"{url} redirects more than {_MAX_REDIRECTS} times.", remedy="Check the address in a browser.")


def follow(url: SecretURL, location: str) -> SecretURL:
    """Where a ``Location`` received from ``url`` leads, without a single byte of it being changed.

    Raises:
        SourceError: to something that is not http(s), or from https to http.
    """
    try:
        target = url.join(location)
    except ValueError:
        raise SourceError(f"{url} redirects to something that is no web address.") from None
    if url.scheme == "https" and target.scheme == "http":
        raise SourceError(
            f"{url} redirects from https to {origin_text(target.origin)}, which is not encrypted; that is not followed."
        )
    return target


async def _send(
    session: Session, url: SecretURL, headers: Mapping[str, str], credentials: Sequence[Credential], began_at: str
) -> aiohttp.ClientResponse:
    await session.guard.admit(url.host, began_at=began_at)
    proxy = session.proxy_for(url)
    async with session.pauses.turn(url):
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                response = await session.http.get(
                    url.yarl,
                    headers={**headers, **headers_for(url, credentials)},
                    allow_redirects=False,
                    proxy=proxy.yarl if proxy else None,
                )
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, url.site, proxy, hide=Sent((url,), credentials).hide) from None
        session.pauses.hear(url, response.status, response.headers)
    return response
