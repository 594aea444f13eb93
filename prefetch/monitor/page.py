"""The page at /: drawn as the board is now, and kept up to date by a stream where the browser has JavaScript."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from html import escape
from importlib.resources import files
from string import Template

from aiohttp import web
from aiohttp.typedefs import Handler

from prefetch import __version__
from prefetch.monitor.drawing import Drawing
from prefetch.monitor.feed import Feed
from prefetch.monitor.frames import Picture
from prefetch.report.board import Board

__all__ = ["add_page"]

PATIENCE = 20.0
"""Seconds for a frame to leave; who takes longer is closed, and comes again."""
_SENT_AHEAD = 64 << 10
"""Bytes that the kernel takes for somebody who does not read them: more would only be older."""
_ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STREAM = {
    "Content-Type": "text/event-stream",
    # Else nginx would keep the frames until it has a buffer full of them.
    "X-Accel-Buffering": "no",
    "Cache-Control": "no-store, no-transform",
}


def add_page(app: web.Application, board: Board, *, feed: Feed | None = None, patience: float = PATIENCE) -> None:
    """Add the page that shows a board, with all that it loads, to an application that keeps strangers out."""
    feed = feed or Feed(board)
    app.router.add_get("/", _page_of(feed))
    app.router.add_get("/events", _events_of(feed, patience))
    for name, kind in _ASSETS.items():
        app.router.add_get(f"/{name}", _asset(name, kind))

    async def close(app: web.Application) -> None:
        await feed.close()

    app.on_shutdown.append(close)


def _page_of(feed: Feed) -> Handler:
    template = Template(_read("page.html"))
    drawing = Drawing(lambda: template.substitute(_fields(feed.picture())))

    async def page(request: web.Request) -> web.Response:
        text = await drawing.now()
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    return page


def _fields(picture: Picture) -> dict[str, str]:
    here = f"prefetch {__version__} on {socket.gethostname()}"
    return {**picture.parts, "title": escape(picture.title), "rows": picture.table(), "here": escape(here)}


def _asset(name: str, kind: str) -> Handler:
    text = _read(name)

    async def asset(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind)

    return asset


def _read(name: str) -> str:
    return files("prefetch.monitor").joinpath("assets", name).read_text(encoding="utf-8")


def _events_of(feed: Feed, patience: float) -> Handler:
    async def events(request: web.Request) -> web.StreamResponse:
        if feed.is_full:
            return web.Response(text="too many are watching\n", status=503, headers={"Retry-After": "30"})
        response = web.StreamResponse(headers=_STREAM)
        _keep_short(request.transport)
        await response.prepare(request)
        try:
            async with aclosing(feed.frames()) as frames:
                async for frame in frames:
                    async with asyncio.timeout(patience):
                        await response.write(frame)
                        await request.writer.drain()
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                # What it has not taken by now it will not be waited for.
                request.transport.abort()
        return response

    return events


def _keep_short(transport: asyncio.Transport | None) -> None:
    """Let little lie between the feed and a reader, so that a slow one skips frames and sees the latest."""
    if transport is not None:
        transport.set_write_buffer_limits(high=0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AHEAD)
