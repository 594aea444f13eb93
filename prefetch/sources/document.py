"""Small documents at an address: a host's description of a version, a manifest, a list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from prefetch.errors import ContentError
from prefetch.net.checks import Asked
from prefetch.net.client import Session
from prefetch.net.credentials import Credential
from prefetch.net.failures import connection_error
from prefetch.net.http import check_answer
from prefetch.net.request import get
from prefetch.net.urls import OriginKey, SecretURL

__all__ = ["Document", "fetch_document"]

_PATIENCE = 60.0  # seconds for the body


@dataclass(frozen=True, slots=True)
class Document:
    """A text as a host has it; ``etag`` is what the host calls this state of it, where it says so."""

    data: bytes = field(repr=False)
    etag: str | None = None


async def fetch_document(
    session: Session,
    url: SecretURL,
    *,
    name: str,
    most: int,
    credentials: Sequence[Credential] = (),
    access_remedy: str = "",
    home: OriginKey | None = None,
    began_at: str | None = None,
    known: Document | None = None,
) -> Document:
    """The whole of a document of at most ``most`` bytes.

    Args:
        name: what sentences call it.
        credentials: each sent to its own origin only.
        access_remedy: what to do where the host refuses.
        home: which host that is about, if not the one of ``url``.
        began_at: the host whose redirect gave us ``url``, where that happened earlier.
        known: what was there before: it is given back where the host says that it is there still.

    Raises:
        AccessError, SourceError: the host refuses, or has no such document.
        ContentError: a page instead, or no end.
        TransientError: worth another try.
    """
    etag = None if known is None else known.etag
    headers = {} if etag is None else {"If-None-Match": etag}
    async with get(session, url, headers=headers, credentials=credentials, began_at=began_at) as answer:
        if known is not None and etag is not None and answer.response.status == HTTPStatus.NOT_MODIFIED:
            return known
        asked = Asked(name, answer.url.host, 0, None, verified=True, access_remedy=access_remedy, hide=answer.sent.hide)
        await check_answer(answer, asked, now=time.time(), home=home or url.origin)
        data = bytearray()
        try:
            async with asyncio.timeout(_PATIENCE):
                while piece := await answer.response.content.readany():
                    data += piece
                    if len(data) > most:
                        raise ContentError(f"{name} on {answer.url.host} is larger than {most >> 20} MiB.")
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, answer.url.host, hide=answer.sent.hide) from None
        return Document(bytes(data), answer.response.headers.get("ETag"))
