"""The HTTP face of a run: /metrics, /healthz, /readyz. Who adds a route to the application has it guarded alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from prefetch.errors import UsageError
from prefetch.monitor.access import Access
from prefetch.monitor.connections import Connections
from prefetch.monitor.drawing import Drawing
from prefetch.values import Endpoint

__all__ = ["Server", "application"]

_OPEN = frozenset({"/healthz", "/readyz"})
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_OPENMETRICS = "application/openmetrics-text"
_LARGEST_BODY = 4096
_AT_THE_END = 0.1


def application(registry: CollectorRegistry, *, access: Access, readiness: Callable[[], str]) -> web.Application:
    """The routes every face has.

    Args:
        readiness: one word; ``ready`` where all that is wanted is there and verified.
    """
    app = web.Application(middlewares=[_keeping_out(access)], client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(_harden)
    app.router.add_get("/metrics", _metrics_of(registry))
    app.router.add_get("/healthz", _says(lambda: "ok", well="ok"))
    app.router.add_get("/readyz", _says(readiness, well="ready"))
    return app


class Server:
    """Serves an application at one address, in the event loop that starts it."""

    def __init__(self, app: web.Application, endpoint: Endpoint, *, connections: Connections | None = None) -> None:
        self._connections = connections or Connections()
        app.middlewares.insert(0, _timed(self._connections))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=_AT_THE_END)
        self._endpoint = endpoint
        self._server: asyncio.Server | None = None

    async def start(self) -> Endpoint:
        """Listen; the address with the port it came to.

        Raises:
            UsageError: the address cannot be listened on.
        """
        await self._runner.setup()
        serve = self._runner.server
        assert serve is not None
        loop, at = asyncio.get_running_loop(), self._endpoint
        try:
            self._server = await loop.create_server(lambda: self._connections.guarded(serve), at.host, at.port)
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(
                f"--listen {at} cannot be listened on: {_reason(error)}.",
                remedy="Choose an address of this machine and a port that nobody uses.",
            ) from None
        return Endpoint(at.host, self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
            await self._runner.cleanup()


def _metrics_of(registry: CollectorRegistry) -> Handler:
    drawings, kinds = {}, {}
    for accepted in ("", _OPENMETRICS):
        encode, kinds[accepted] = choose_encoder(accepted)
        drawings[accepted] = Drawing(partial(encode, registry))

    async def metrics(request: web.Request) -> web.Response:
        # Left to itself the library fails at a version that is no number, and repeats one that it does not know.
        wanted = _OPENMETRICS if _OPENMETRICS in request.headers.get("Accept", "") else ""
        return web.Response(body=await drawings[wanted].now(), headers={"Content-Type": kinds[wanted]})

    return metrics


def _says(word: Callable[[], str], *, well: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        said = word()
        return web.Response(text=f"{said}\n", status=200 if said == well else 503)

    return answer


def _keeping_out(access: Access) -> Middleware:
    @web.middleware
    async def keep_out(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN or access.allows(request.headers.get("Authorization", "")):
            return await handler(request)
        response = web.Response(text="unauthorized\n", status=401)
        if access.token is not None:
            response.headers.add("WWW-Authenticate", "Bearer")
        response.headers.add("WWW-Authenticate", 'Basic realm="prefetch", charset="UTF-8"')
        return response

    return keep_out


def _timed(connections: Connections) -> Middleware:
    @web.middleware
    async def timed(request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        connections.answering(transport)
        try:
            return await handler(request)
        finally:
            connections.answered(transport)

    return timed


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)


def _reason(error: OSError) -> str:
    # asyncio's own sentence says the address once more.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror)
