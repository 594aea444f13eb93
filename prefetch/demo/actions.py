"""What can go wrong with one reply: small frozen callables from a reply to the reply that is sent instead. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Literal

from prefetch.demo.content import Extended, Flipped
from prefetch.demo.messages import End, Reply, Request, json_reply, text_reply

__all__ = [
    "Action",
    "Cut",
    "Delay",
    "Expired",
    "Flip",
    "Hide",
    "HtmlPage",
    "IgnoreRange",
    "JsonError",
    "LfsPointer",
    "Long",
    "NoLength",
    "Redirect",
    "RedirectLoop",
    "Short",
    "Stall",
    "Status",
    "TooMany",
    "Trickle",
    "WrongRange",
]

Action = Callable[[Request, Reply], Reply]


@dataclass(frozen=True, slots=True)
class Cut:
    """Break the connection after ``after`` body bytes; a reset may overtake bytes that were already sent."""

    after: int
    how: Literal["close", "reset"] = "close"

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, end=End(self.after, self.how))


@dataclass(frozen=True, slots=True)
class Stall:
    """Send ``after`` body bytes and then nothing more until the client leaves."""

    after: int = 0

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, end=End(self.after, "stall"))


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send ``rate`` body bytes a second."""

    rate: float

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, rate=self.rate)


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait so many seconds before the first byte."""

    seconds: float

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, delay=reply.delay + self.seconds)


@dataclass(frozen=True, slots=True)
class Status:
    """A bare error status: 500, 502, 503, 403, 404, ..."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, request: Request, reply: Reply) -> Reply:
        answer = text_reply(self.status, f"{self.status} on request").about(reply.file)
        return replace(answer, headers={**answer.headers, **self.headers})


@dataclass(frozen=True, slots=True)
class TooMany:
    """429, telling the wait in ``seconds`` in one of the ways hosts do, or not at all."""

    seconds: int = 0
    tell: Literal["seconds", "date", "ratelimit", "nothing"] = "seconds"

    def __call__(self, request: Request, reply: Reply) -> Reply:
        limit = {"RateLimit": f'"resolvers";r=0;t={self.seconds}', "RateLimit-Policy": _POLICY}
        headers: dict[str, dict[str, str]] = {
            "seconds": {"Retry-After": str(self.seconds)},
            "date": {"Retry-After": formatdate(time.time() + self.seconds, usegmt=True)},
            "ratelimit": limit,
            "nothing": {},
        }
        return Status(429, headers[self.tell])(request, reply)


@dataclass(frozen=True, slots=True)
class Expired:
    """403 as the CDN gives it to a signed link after its time."""

    def __call__(self, request: Request, reply: Reply) -> Reply:
        text = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
        return text_reply(403, text, content_type="application/xml").about(reply.file)


@dataclass(frozen=True, slots=True)
class Flip:
    """Invert the byte at the file's absolute ``offset``, if the reply carries it."""

    offset: int

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, content=Flipped(reply.content, self.offset))


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answer a range with 200 and the whole file, as a host without ranges does."""

    def __call__(self, request: Request, reply: Reply) -> Reply:
        headers = _without(reply.headers, "Content-Range", "Accept-Ranges")
        size = reply.content.size
        return replace(reply, status=200, headers={**headers, "Content-Length": str(size)}, start=0, stop=size)


@dataclass(frozen=True, slots=True)
class WrongRange:
    """A Content-Range that is off by ``shift`` bytes, or that names another ``total``; the body is as asked."""

    shift: int = 0
    total: int | None = None

    def __call__(self, request: Request, reply: Reply) -> Reply:
        total = reply.content.size if self.total is None else self.total
        claim = f"bytes {reply.start + self.shift}-{reply.stop - 1 + self.shift}/{total}"
        return replace(reply, headers={**reply.headers, "Content-Range": claim})


@dataclass(frozen=True, slots=True)
class Short:
    """A body and a Content-Length that lack the last ``by`` bytes; Content-Range is as asked."""

    by: int

    def __call__(self, request: Request, reply: Reply) -> Reply:
        stop = max(reply.stop - self.by, reply.start)
        return replace(reply, headers={**reply.headers, "Content-Length": str(stop - reply.start)}, stop=stop)


@dataclass(frozen=True, slots=True)
class Long:
    """A body and a Content-Length with ``by`` bytes more than there should be; Content-Range is as asked."""

    by: int

    def __call__(self, request: Request, reply: Reply) -> Reply:
        stop = reply.stop + self.by
        headers = {**reply.headers, "Content-Length": str(stop - reply.start)}
        return replace(reply, headers=headers, content=Extended(reply.content, self.by), stop=stop)


@dataclass(frozen=True, slots=True)
class NoLength:
    """No Content-Length: chunks, or a body that ends where the connection does."""

    framing: Literal["chunked", "close"] = "chunked"

    def __call__(self, request: Request, reply: Reply) -> Reply:
        headers = _without(reply.headers, "Content-Length")
        extra = {"Transfer-Encoding": "chunked"} if self.framing == "chunked" else {"Connection": "close"}
        return replace(reply, headers={**headers, **extra}, framing=self.framing)


@dataclass(frozen=True, slots=True)
class Hide:
    """Leave headers out, as mirrors do with X-Repo-Commit and X-Linked-Size."""

    names: tuple[str, ...]

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return replace(reply, headers=_without(reply.headers, *self.names))


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """200 and a login page."""

    title: str = "Log in"

    def __call__(self, request: Request, reply: Reply) -> Reply:
        page = f"<!doctype html><html><head><title>{self.title}</title></head><body>Please log in.</body></html>"
        return text_reply(200, page, content_type="text/html; charset=utf-8").about(reply.file)


@dataclass(frozen=True, slots=True)
class JsonError:
    """200 and a JSON error message."""

    message: str = "Unauthorized"

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return json_reply({"error": self.message}).about(reply.file)


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """200 and the Git LFS pointer of the file instead of the file."""

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return text_reply(200, reply.content.lfs_pointer).about(reply.file)


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect to ``location``, which may be on another host."""

    location: str
    status: int = 302

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return Status(self.status, {"Location": self.location})(request, reply)


@dataclass(frozen=True, slots=True)
class RedirectLoop:
    """A redirect to the request's own address."""

    def __call__(self, request: Request, reply: Reply) -> Reply:
        return Redirect(request.target)(request, reply)


def _without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    left_out = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in left_out}


_POLICY = '"fixed window";"resolvers";q=5000;w=300'
