"""A small HTTP/1.1 server: one blocking thread a connection, and every byte of a reply under control.

Plain sockets, because a fault must be able to put any bytes on the wire, and because blocking sends of 1 MiB release
the interpreter lock: the server is not the bottleneck, with TLS or without, and slows no client in the same process.
"""

from __future__ import annotations

import http.client
import itertools
import re
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from threading import Event, Lock, Thread
from typing import Literal

from prefetch.demo.faults import Script
from prefetch.demo.log import LogEntry, RequestLog
from prefetch.demo.messages import Reply, Request

__all__ = ["LOOPBACK", "App", "Link", "Server"]

App = Callable[[Request], Reply]
Name = Literal["hub", "cdn", "civitai"]

LOOPBACK = "127.0.0.1"

_SO_MAX_PACING_RATE = 47
"""From Linux's asm-generic/socket.h; the socket module does not name it."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TICK = 0.05
"""Seconds between the pieces of a reply whose rate is limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a server's connections are like.

    Attributes:
        tls: makes every connection a TLS one.
        pace: bytes a second that the kernel lets through on each connection.
        delay: seconds before the first byte of each reply.
    """

    tls: ssl.SSLContext | None = None
    pace: int | None = None
    delay: float = 0.0


class Server:
    """Serves an `App` on a port that it takes at once: an app has to know where it will be found.

    Args:
        port: 0 for any free one.
        address: where it listens.
        host: how it calls itself, where that is not by its address.
    """

    def __init__(
        self,
        name: Name,
        port: int,
        *,
        address: str = LOOPBACK,
        host: str | None = None,
        script: Script,
        log: RequestLog,
        link: Link,
    ) -> None:
        self.name = name
        self.script = script
        self.log = log
        self.link = link
        self.stopping = Event()
        self._host = host or address
        self._sockets = _listen(port, address)
        self._numbers = itertools.count(1)
        self._lock = Lock()
        self._open: set[_Connection] = set()
        self._threads: list[Thread] = []

    @property
    def port(self) -> int:
        """The port on all of its addresses."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def endpoint(self) -> str:
        """Its scheme, host and port."""
        scheme = "https" if self.link.tls else "http"
        return f"{scheme}://{self._host}:{self.port}"

    @contextmanager
    def serving(self, app: App) -> Iterator[None]:
        """Accept connections, in threads, until the block is left."""
        self._threads = [Thread(target=self._accept, args=(each, app), daemon=True) for each in self._sockets]
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        """Close everything, whatever is being sent, and wait for the threads."""
        self.stopping.set()
        for each in self._sockets:
            # Closing alone would leave a thread blocked in accept for ever.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.abort()
        for connection in connections:
            connection.thread.join()

    def _accept(self, listener: socket.socket, app: App) -> None:
        while not self.stopping.is_set():
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            connection = _Connection(self, app, accepted, next(self._numbers))
            with self._lock:
                self._open.add(connection)
            connection.thread.start()

    def forget(self, connection: _Connection) -> None:
        """A connection's thread is about to end."""
        with self._lock:
            self._open.discard(connection)


class _Connection:
    """One accepted connection and the thread that answers its requests in turn."""

    def __init__(self, server: Server, app: App, accepted: socket.socket, number: int) -> None:
        self.thread = Thread(target=self._run, daemon=True)
        self._server = server
        self._app = app
        self._socket = accepted
        self._number = number

    def abort(self) -> None:
        """Wake the thread, wherever it blocks on the socket."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            # A client may leave, or speak no TLS, at any point; there is nobody to tell.
            with suppress(OSError, http.client.HTTPException, ValueError):
                self._prepare()
                with self._socket.makefile("rb") as reader:
                    while self._exchange(reader):
                        pass
        finally:
            self._socket.close()
            self._server.forget(self)

    def _prepare(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = self._server.link
        if link.pace is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, struct.pack("Q", link.pace))
        if link.tls is not None:
            # Wrapped first and shaken hands afterwards, so that abort always has the socket that is in use.
            self._socket = secure = link.tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            secure.do_handshake()

    def _exchange(self, reader: BufferedReader) -> bool:
        """Answer one request; whether the connection can take another."""
        request = _read_request(reader, self._server.name)
        if request is None:
            return False
        reply, faults = self._server.script.apply(request, self._app(request))
        entry = self._server.log.begin(request, reply, connection=self._number, faults=faults)
        try:
            return self._send(request, reply, entry)
        finally:
            self._server.log.finish(entry)

    def _send(self, request: Request, reply: Reply, entry: LogEntry) -> bool:
        if self._server.stopping.wait(self._server.link.delay + reply.delay):
            return False
        self._socket.sendall(reply.head())
        if request.method == "HEAD":
            return True
        for view in reply.views():
            self._send_view(view, reply, entry)
        if reply.end is not None:
            self._break_off(reply.end.how)
            return False
        if reply.framing == "chunked":
            self._socket.sendall(b"0\r\n\r\n")
        return reply.framing != "close" and request.headers.get("connection", "").lower() != "close"

    def _send_view(self, view: memoryview, reply: Reply, entry: LogEntry) -> None:
        step = len(view) if reply.rate is None else max(int(reply.rate * _TICK), 1)
        for at in range(0, len(view), step):
            piece = view[at : at + step]
            self._socket.sendall(_chunk(piece) if reply.framing == "chunked" else piece)
            entry.sent += len(piece)
            if reply.rate is not None and self._server.stopping.wait(len(piece) / reply.rate):
                raise ConnectionAbortedError

    def _break_off(self, how: Literal["close", "reset", "stall"]) -> None:
        if how == "stall":
            # A client in the middle of a reply says nothing, so this returns when it leaves or when we stop.
            self._socket.recv(1)
        elif how == "reset":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _listen(port: int, address: str) -> list[socket.socket]:
    """A socket on ``address``, and for 127.0.0.1 one on ::1 too, if there is such, with its port (0: any free one)."""
    first = socket.create_server((address, port))
    sockets = [first]
    if address == LOOPBACK and socket.has_ipv6:
        # A client that tries ::1 first for "localhost" is refused at once and falls back, so this may fail.
        with suppress(OSError):
            sockets.append(socket.create_server(("::1", first.getsockname()[1]), family=socket.AF_INET6))
    return sockets


def _chunk(piece: memoryview) -> bytes:
    return b"".join([f"{len(piece):x}\r\n".encode(), piece, b"\r\n"])


def _read_request(reader: BufferedReader, server: Name) -> Request | None:
    """The next request; None when the client is done."""
    words = reader.readline(65536).decode("latin-1").split()
    if len(words) != 3:
        return None
    fields = http.client.parse_headers(reader)
    headers = {name.lower(): value for name, value in fields.items()}
    body = reader.read(int(headers.get("content-length", "0")))
    # A proxy is asked for a whole address.
    target = re.sub(r"(?i)^https?://[^/]+", "", words[1])
    return Request(server=server, method=words[0], target=target, headers=headers, body=body)
