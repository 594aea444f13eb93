"""Small documents at an address: a host's description of a version, a manifest, a list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiohttp

from prefetch.errors import ContentError
from prefetch.net.checks import Asked
from prefetch.net.client import Session
from prefetch.net.credentials import Credential
from prefetch.net.failures import connection_error
from prefetch.net.http import check_answer
from prefetch.net.request import get
from prefetch.net.urls import SecretURL

__all__ = ["fetch_document"]

_PATIENCE = 60.0  # seconds for the body


async def fetch_document(
    session: Session,
    url: SecretURL,
    *,
    name: str,
    most: int,
    credentials: Sequence[Credential] = (),
    access_remedy: str = "",
    began_at: str | None = None,
) -> bytes:
    """The whole of a document of at most ``most`` bytes.

    Args:
        name: what sentences call it.
        credentials: each sent to its own origin only.
        access_remedy: what to do where the host refuses.
        began_at: the host whose redirect gave us ``url``, where that happened earlier.

    Raises:
        AccessError, SourceError: the host refuses, or has no such document.
        ContentError: a page instead, or no end.
        TransientError: worth another try.
    """
    async with get(session, url, headers={}, credentials=credentials, began_at=began_at) as answer:
        asked = Asked(name, answer.url.host, 0, None, verified=True, access_remedy=access_remedy)
        await check_answer(answer, asked, now=time.time())
        data = bytearray()
        try:
            async with asyncio.timeout(_PATIENCE):
                while piece := await answer.response.content.readany():
                    data += piece
                    if len(data) > most:
                        raise ContentError(f"{name} on {answer.url.host} is larger than {most >> 20} MiB.")
        except (aiohttp.ClientError, OSError) as error:
            raise connection_error(error, answer.url.host, None) from None
        return bytes(data)
