"""The CDN: files behind signed links that expire, on another host name than the Hub."""

from __future__ import annotations

import hashlib
import hmac
import time
from calendar import timegm
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import quote

from prefetch.demo.content import Content
from prefetch.demo.messages import Reply, Request, send_content, text_reply

__all__ = ["Cdn"]

_DATE = "%Y%m%dT%H%M%SZ"


class Cdn:
    """Answers the links it signed itself, as the Hub's Xet bridge does: ranges, no ETag, no Last-Modified.

    Args:
        endpoint: scheme, host and port of the server it runs on.
        lifetime: seconds that a link is good for.
        clock: seconds since the epoch.
    """

    def __init__(self, endpoint: str, *, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        self.endpoint = endpoint
        self._lifetime = lifetime
        self._clock = clock
        self._key = hashlib.sha256(endpoint.encode()).digest()
        self._generation = 1
        self._shelf: dict[str, tuple[str, Content]] = {}

    def link(self, file: str, content: Content) -> str:
        """A signed link to ``content``; ``file`` is its name for the log and for faults, ``owner/name/path``."""
        path = f"/xet-bridge-demo/{hashlib.sha256(file.encode()).hexdigest()[:24]}/{content.sha256}"
        self._shelf[path] = (file, content)
        name = quote(PurePosixPath(file).name, safe="")
        query = "&".join(
            [
                "X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD",
                f"X-Amz-Credential=demo%2F{self._generation}%2Fus-east-1%2Fs3%2Faws4_request",
                f"X-Amz-Date={time.strftime(_DATE, time.gmtime(self._clock()))}",
                f"X-Amz-Expires={self._lifetime}",
                "X-Amz-SignedHeaders=host",
                f"response-content-disposition=inline%3B%20filename%2A%3DUTF-8%27%27{name}%3B",
                "x-id=GetObject",
            ]
        )
        return f"{self.endpoint}{path}?{query}&X-Amz-Signature={self._sign(path, query)}"

    def expire_links(self) -> None:
        """From now on every link given out so far has expired."""
        self._generation += 1

    def __call__(self, request: Request) -> Reply:
        path, _, query = request.target.partition("?")
        file, content = self._shelf.get(path, ("", None))
        refusal = self._refusal(request, path, query)
        if refusal is not None:
            return _error(*refusal, file=file)
        if content is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.", file=file)
        disposition = request.query["response-content-disposition"][0]
        return send_content(request, content, file=file, headers={"Content-Disposition": disposition})

    def _refusal(self, request: Request, path: str, query: str) -> tuple[int, str, str] | None:
        if request.method not in ("GET", "HEAD"):
            return 405, "MethodNotAllowed", "The specified method is not allowed against this resource."
        if "authorization" in request.headers:
            return 400, "InvalidArgument", "Only one auth mechanism allowed."
        signed, _, signature = query.rpartition("&X-Amz-Signature=")
        if not hmac.compare_digest(signature.encode(), self._sign(path, signed).encode()):
            return 403, "SignatureDoesNotMatch", "The request signature does not match the signature you provided."
        if self._expired(request.query):
            return 403, "AccessDenied", "Request has expired"
        return None

    def _expired(self, query: dict[str, list[str]]) -> bool:
        generation = int(query["X-Amz-Credential"][0].split("/")[1])
        issued = timegm(time.strptime(query["X-Amz-Date"][0], _DATE))
        return generation < self._generation or self._clock() >= issued + int(query["X-Amz-Expires"][0])

    def _sign(self, path: str, query: str) -> str:
        return hmac.new(self._key, f"{path}?{query}".encode(), hashlib.sha256).hexdigest()


def _error(status: int, code: str, message: str, *, file: str) -> Reply:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return text_reply(status, text, content_type="application/xml").about(file)
