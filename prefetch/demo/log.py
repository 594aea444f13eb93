"""What the origin was asked: one entry a request, there from its first byte on, for tests and as JSON lines."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import TextIO

from prefetch.demo.messages import Reply, Request

__all__ = ["LogEntry", "RequestLog"]


@dataclass(slots=True, kw_only=True)
class LogEntry:
    """One request and what became of it. Never a token, never a signed query.

    Attributes:
        time: seconds since the epoch when the request had been read.
        server: ``hub``, ``cdn`` or ``civitai``.
        connection: a number for the TCP connection, unique in this origin.
        path: percent-encoded, without the query.
        file: what was asked for, ``owner/name/path`` or a plain file's name; empty for none.
        range: the Range header as it came.
        start, stop: the window of the file that was to be sent.
        authorized: whether an Authorization header arrived.
        faults: the names of the scripted faults that struck.
        sent: body bytes handed to the kernel so far.
        seconds: how long the reply took; None while it is being sent.
    """

    time: float
    server: str
    connection: int
    method: str
    host: str
    path: str
    file: str
    range: str | None
    start: int
    stop: int
    status: int
    authorized: bool
    faults: tuple[str, ...]
    sent: int = 0
    seconds: float | None = None


@dataclass(slots=True)
class RequestLog:
    """All requests in the order they came. Safe to use from many threads at once."""

    stream: TextIO | None = None
    _entries: list[LogEntry] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def to_file(cls, path: Path) -> RequestLog:
        """A log that also appends each finished request to ``path`` as a JSON line."""
        return cls(path.open("a", encoding="utf-8"))

    @property
    def entries(self) -> list[LogEntry]:
        """A copy of the list; the entries of unfinished requests go on changing."""
        with self._lock:
            return list(self._entries)

    def begin(self, request: Request, reply: Reply, *, connection: int, faults: tuple[str, ...]) -> LogEntry:
        """Enter a request whose reply is about to be sent."""
        entry = LogEntry(
            time=time.time(),
            server=request.server,
            connection=connection,
            method=request.method,
            host=request.headers.get("host", ""),
            path=request.target.partition("?")[0],
            file=reply.file,
            range=request.headers.get("range"),
            start=reply.start,
            stop=reply.stop,
            status=reply.status,
            authorized="authorization" in request.headers,
            faults=faults,
        )
        with self._lock:
            self._entries.append(entry)
        return entry

    def finish(self, entry: LogEntry) -> None:
        """Note that nothing more will be sent."""
        entry.seconds = round(time.time() - entry.time, 4)
        if self.stream is not None:
            with self._lock:
                self.stream.write(json.dumps(asdict(entry)) + "\n")
                self.stream.flush()

    def close(self) -> None:
        """Close the file, if there is one."""
        if self.stream is not None:
            self.stream.close()
