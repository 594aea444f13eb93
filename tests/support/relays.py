"""What stands between a client and a host: a port that is closed for a while, and a proxy that tunnels."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Proxy", "Relay", "proxy", "relay"]

_PIECE = 1 << 16


class Relay:
    """A port of 127.0.0.1 that leads to another one while it is open, and refuses connections while it is not."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = _bound(0)
        self.port = int(self._listening.getsockname()[1])

    def open(self) -> None:
        """Let connections in from now on."""
        self._listening.listen(64)
        threading.Thread(target=_accept, args=(self._listening, self._serve), daemon=True).start()

    def shut(self) -> None:
        """Break every connection, and refuse new ones. The port stays ours."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._listening = _bound(self.port)
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Be gone."""
        self.shut()
        self._listening.close()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as host:
            with self._lock:
                self._open |= {client, host}
            try:
                _tunnel(client, host)
            finally:
                with self._lock:
                    self._open -= {client, host}


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """A `Relay`, shut at first."""
    one = Relay(target)
    try:
        yield one
    finally:
        one.close()


@dataclass(slots=True)
class Proxy:
    """An HTTP proxy for CONNECT that takes every name for this machine; what it was asked for, and who was let in."""

    port: int
    login: str | None
    asked: list[str] = field(default_factory=list)
    refused: int = 0

    def serve(self, client: socket.socket) -> None:
        """One connection."""
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(_PIECE)
                if not piece:
                    return
                head += piece
            line, *headers = head.decode().split("\r\n")
            if self.login is not None and not self._knows(headers):
                self.refused += 1
                client.sendall(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
                return
            method, target, _ = line.split(" ")
            assert method == "CONNECT", line
            self.asked.append(target)
            with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2]))) as host:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _tunnel(client, host)

    def _knows(self, headers: list[str]) -> bool:
        wanted = base64.b64encode((self.login or "").encode()).decode()
        return any(header.lower() == f"proxy-authorization: basic {wanted}".lower() for header in headers)


@contextmanager
def proxy(*, login: str | None = None) -> Iterator[Proxy]:
    """A running proxy; ``login`` is the ``user:password`` it wants."""
    listening = _bound(0)
    listening.listen(64)
    one = Proxy(int(listening.getsockname()[1]), login)
    threading.Thread(target=_accept, args=(listening, one.serve), daemon=True).start()
    try:
        yield one
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _bound(port: int) -> socket.socket:
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    each.bind(("127.0.0.1", port))
    return each


def _accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def _tunnel(one: socket.socket, other: socket.socket) -> None:
    back = threading.Thread(target=_pump, args=(other, one), daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
