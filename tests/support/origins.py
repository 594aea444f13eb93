"""Asking the built-in origin the way a plain client does: one request, no redirects followed, the raw reply."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

__all__ = ["Answer", "ask"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply. ``whole`` says whether the body arrived as long as its headers announced."""

    status: int
    headers: Message
    body: bytes
    whole: bool


def ask(
    url: str,
    *,
    method: str = "GET",
    span: tuple[int, int] | None = None,
    body: str | None = None,
    patience: float = 5.0,
    **headers: str,
) -> Answer:
    """One request on a connection of its own; ``span`` asks for the bytes ``[start, stop)``.

    Raises:
        TimeoutError: no byte came for ``patience`` seconds.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if span is not None:
        names["Range"] = f"bytes={span[0]}-{span[1] - 1}"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=patience)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, names)
        response = connection.getresponse()
        received, whole = _read(response)
        return Answer(response.status, response.headers, received, whole)
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    received = bytearray()
    try:
        while piece := response.read1(65536):
            received += piece
    except (ConnectionError, http.client.IncompleteRead):
        return bytes(received), False
    return bytes(received), response.length in (0, None)
