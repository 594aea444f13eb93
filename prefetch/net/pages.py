"""What a host says in place of a file, cut to what fits a sentence."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import Callable

import aiohttp

from prefetch.net.urls import redact

__all__ = ["describe", "read_start"]

_START = 2048
_PATIENCE = 5.0  # seconds; the sentence is worth no more
_QUOTED = 80
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[a-z!?/][^>]*>", re.IGNORECASE)


async def read_start(response: aiohttp.ClientResponse) -> bytes:
    """The first 2 KiB of a body, or what came of them."""
    start = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            while len(start) < _START and (piece := await response.content.read(_START - len(start))):
                start += piece
    except (aiohttp.ClientError, OSError):
        pass
    return bytes(start)


def describe(media_type: str, start: bytes, *, hide: Callable[[str], str] = str) -> str:
    """A page's title, a JSON answer's message, or the first words of a text; empty where it says nothing.

    Args:
        hide: takes out of a text what was sent, which a host may repeat.
    """
    text = start.decode("utf-8", "replace")
    if "html" in media_type:
        title = _TITLE.search(text)
        return f"an HTML page titled {_short(html.unescape(title[1]), hide)!r}" if title else "an HTML page"
    if "json" in media_type:
        return f"JSON that says {_short(_message(text), hide)!r}"
    if "xml" in media_type or media_type.startswith("text/"):
        return repr(_short(_TAG.sub(" ", text), hide)) if text.strip() else ""
    return ""


def _message(text: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(document, dict):
        for key in ("message", "error", "detail"):
            if isinstance(document.get(key), str):
                return str(document[key])
    return text


def _short(text: str, hide: Callable[[str], str]) -> str:
    line = " ".join(redact(hide(text)).split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
