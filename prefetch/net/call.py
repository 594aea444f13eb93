"""One call of an address: a method, a body in, a status and bytes out. No redirect is followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from prefetch.errors import ContentError
from prefetch.net.client import Session
from prefetch.net.credentials import Credential, headers_for
from prefetch.net.failures import connection_error
from prefetch.net.quoting import Sent
from prefetch.net.urls import SecretURL

__all__ = ["Reply", "call", "tell"]

_PATIENCE = 60.0
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered; the body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent: Sent = field(default_factory=Sent, repr=False)

    def without_secrets(self, text: str) -> str:
        """A text of the answer without the secrets that were sent, which it may repeat."""
        return self.sent.hide(text)


async def call(
    session: Session,
    method: str,
    url: SecretURL,
    *,
    credentials: Sequence[Credential] = (),
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    patience: float = _PATIENCE,
) -> Reply:
    """Ask, and read the answer whatever its status.

    Args:
        credentials: each sent to its own origin only.
        headers: what else is sent along.
        body: JSON; None for no body.
        patience: seconds for the whole call.

    Raises:
        ContentError: the answer has no end.
        TransientError: no answer, or a cut one. Whether the call had its effect is then not known.
    """
    sent = Sent((url,), credentials, tuple((headers or {}).values()))
    async with _asked(session, method, url, sent, headers, body, patience) as response:
        received = await _read(response, url.site)
    return Reply(response.status, response.headers, received, sent)


async def tell(
    session: Session, url: SecretURL, *, headers: Mapping[str, str], body: bytes, patience: float = _PATIENCE
) -> int:
    """POST ``body``, and what status that was answered with; nothing else of the answer is waited for.

    Raises:
        TransientError: no answer. Whether it was taken is then not known.
    """
    sent = Sent((url,), (), tuple(headers.values()))
    async with _asked(session, "POST", url, sent, headers, body, patience) as response:
        return response.status


@asynccontextmanager
async def _asked(
    session: Session,
    method: str,
    url: SecretURL,
    sent: Sent,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    patience: float,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer, whose body may be read in what is left of ``patience``."""
    await session.guard.admit(url.host, began_at=url.host)
    proxy = session.proxy_for(url)
    async with session.pauses.turn(url):
        try:
            async with (
                asyncio.timeout(patience),
                session.http.request(
                    method,
                    url.yarl,
                    headers={**_headers(body), **(headers or {}), **headers_for(url, sent.credentials)},
                    data=body,
                    allow_redirects=False,
                    proxy=proxy.yarl if proxy else None,
                ) as response,
            ):
                session.pauses.hear(url, response.status, response.headers)
                yield response
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, url.site, proxy, hide=sent.hide) from None


def _headers(body: bytes | None) -> dict[str, str]:
    accepted = {"Accept": "application/json, application/problem+json"}
    return accepted if body is None else {**accepted, "Content-Type": "application/json"}


async def _read(response: aiohttp.ClientResponse, host: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LARGEST:
            raise ContentError(f"An answer of {host} is larger than {_LARGEST >> 20} MiB.")
    return bytes(body)
