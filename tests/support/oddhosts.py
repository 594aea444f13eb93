"""Hosts with habits that no fault of the demo's origin has: each a real server of the standard library, in a thread."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

__all__ = ["OddHost", "odd_host"]

PIECE = 1 << 18


class OddHost(BaseHTTPRequestHandler):
    """Serves files with ranges as it should be; habits override one method each.

    Attributes:
        files: the bytes by path.
        asked: path and ``Range`` header of every request so far.
    """

    protocol_version = "HTTP/1.1"
    server_class: type[HTTPServer] = ThreadingHTTPServer
    files: Mapping[str, bytes]
    asked: list[tuple[str, str]]

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range", "")))
        self.reply(self.path)

    def reply(self, path: str) -> None:
        """Answer what `do_GET` has taken note of."""
        data = self.files[path]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self.whole(data)
        else:
            self.part(data, int(asked[1]), min(int(asked[2] or len(data) - 1) + 1, len(data)))

    def part(self, data: bytes, start: int, stop: int) -> None:
        """The bytes ``[start, stop)``."""
        self.begin(206, {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}", "Content-Length": str(stop - start)})
        self.send(data[start:stop])

    def whole(self, data: bytes) -> None:
        self.begin(200, {"Content-Length": str(len(data))})
        self.send(data)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, data: bytes) -> None:
        try:
            for at in range(0, len(data), PIECE):
                self.wfile.write(data[at : at + PIECE])
        except OSError:
            self.close_connection = True

    def send_chunked(self, data: bytes) -> None:
        self.begin(200, {"Transfer-Encoding": "chunked"})
        pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
        self.send(b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n")

    def refuse(self, status: int = 403) -> None:
        self.begin(status, {"Content-Length": "0"})


@contextmanager
def odd_host(habit: type[OddHost], files: Mapping[str, bytes]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve ``files`` with a habit; the address, and what is asked."""
    asked: list[tuple[str, str]] = []
    handler = type(habit.__name__, (habit,), {"files": files, "asked": asked})
    with habit.server_class(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
