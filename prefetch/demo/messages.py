"""A request as it was read, and a reply as it will be sent, down to how its bytes leave. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

from prefetch.demo.content import BytesFile, Content

__all__ = ["End", "Reply", "Request", "json_reply", "send_content", "text_reply"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``target`` is what stood in the request line; header names are lower-case."""

    server: Literal["hub", "cdn", "civitai"]
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, percent-decoded and without the query."""
        return unquote(self.target.partition("?")[0])

    @property
    def segments(self) -> list[str]:
        """The path's segments, each percent-decoded after the split, so that one may hold a slash."""
        return [unquote(part) for part in self.target.partition("?")[0].strip("/").split("/")]

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def token(self) -> str | None:
        """The bearer token, if any."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else None


@dataclass(frozen=True, slots=True)
class End:
    """Break off after ``after`` body bytes: close the connection, reset it, or leave the client waiting."""

    after: int
    how: Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply, and how its bytes leave.

    Attributes:
        content, start, stop: the body is ``content[start:stop]``.
        file: what the body is a part of, ``owner/name/path`` or a plain file's name, for the log and for faults.
        framing: how the client learns the body's end; ``length`` trusts the Content-Length among ``headers``.
        delay: seconds before the first byte.
        rate: body bytes a second, None for as fast as they go.
        end: where to break off.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content = field(default_factory=lambda: BytesFile(b""))
    start: int = 0
    stop: int = 0
    file: str = ""
    framing: Literal["length", "chunked", "close"] = "length"
    delay: float = 0.0
    rate: float | None = None
    end: End | None = None

    def head(self) -> bytes:
        """The status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def about(self, file: str) -> Reply:
        """The same reply, about ``file``."""
        return replace(self, file=file)

    def views(self) -> Iterator[memoryview]:
        """The body as far as it will be sent."""
        stop = self.stop if self.end is None else min(self.stop, self.start + self.end.after)
        return self.content.views(self.start, stop)


def text_reply(status: int, text: str, *, content_type: str = "text/plain; charset=utf-8", **headers: str) -> Reply:
    """A short text; an underscore in a header's keyword stands for a hyphen."""
    data = text.encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        status=status,
        headers={"Content-Type": content_type, "Content-Length": str(len(data)), **names},
        content=BytesFile(data),
        stop=len(data),
    )


def json_reply(value: Any, *, status: int = 200, **headers: str) -> Reply:
    """A JSON document."""
    return text_reply(status, json.dumps(value), content_type="application/json; charset=utf-8", **headers)


def send_content(request: Request, content: Content, *, file: str, headers: Mapping[str, str]) -> Reply:
    """``content``, or the one range of it that the request asks for.

    Several ranges, a malformed one and an If-Range that does not match are answered with the whole, as S3 does.
    """
    base = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    window = _window(request, content.size, headers.get("ETag"))
    if window is None:
        base["Content-Length"] = str(content.size)
        return Reply(status=200, headers=base, content=content, stop=content.size, file=file)
    start, stop = window
    if start >= stop:
        return text_reply(416, "The requested range is not satisfiable.", Content_Range=f"bytes */{content.size}")
    base["Content-Length"] = str(stop - start)
    base["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    return Reply(status=206, headers=base, content=content, start=start, stop=stop, file=file)


def _window(request: Request, size: int, etag: str | None) -> tuple[int, int] | None:
    """The asked range as ``[start, stop)`` within the file, empty if it lies outside; None for the whole file."""
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or match.group() == "bytes=-" or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    stop = min(int(last) + 1, size) if last else size
    return (int(first), stop) if not last or int(last) >= int(first) else None
