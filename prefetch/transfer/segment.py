"""One range of one file, fetched over one connection at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prefetch.net.origin import Body, Origin
from prefetch.transfer.buffers import Buffer
from prefetch.transfer.stalls import Speedometer

if TYPE_CHECKING:
    from prefetch.transfer.download import Download

__all__ = ["Segment"]


class Segment:
    """The bytes ``[start, stop)`` of a download; ``stop`` is None while the file's size is unknown.

    ``stop`` may be lowered while the segment is being fetched, when another connection takes its tail over.
    """

    __slots__ = (
        "_heard_at",
        "_seen",
        "blocks",
        "body",
        "buffer",
        "download",
        "generation",
        "host",
        "judged",
        "meter",
        "origin",
        "position",
        "refused_by",
        "scope",
        "stop",
        "waited",
        "waiting",
    )

    def __init__(self, download: Download, origin: Origin, start: int, stop: int | None) -> None:
        self.download = download
        self.origin = origin
        self.refused_by: set[Origin] = set()  # hosts that failed it, until all have
        self.generation = download.generation
        self.stop = stop
        self.position = start
        self.buffer: Buffer | None = None
        self.host = origin.host
        self.body: Body | None = None
        self.blocks: list[int] = []  # that the present connection brought
        self.judged = 0
        self.meter = Speedometer(0.0)
        self.scope: asyncio.Timeout | None = None
        self.waiting = False  # for the network, and not for a buffer or the bandwidth cap
        self.waited = 0.0  # seconds that the present connection waited for memory
        self._seen = 0
        self._heard_at = 0.0

    @property
    def received(self) -> int:
        """Bytes the present connection has brought."""
        return self.body.received if self.body is not None else 0

    @property
    def remaining(self) -> int | None:
        """Bytes still to come; None while the size is unknown."""
        return None if self.stop is None else self.stop - self.position

    @property
    def wanted(self) -> bool:
        """Whether the download still waits for these bytes."""
        return self.generation == self.download.generation and not self.download.over.is_set()

    @property
    def connected(self) -> bool:
        """Whether a connection for it is open or being opened."""
        return self.scope is not None

    @property
    def finished(self) -> bool:
        return self.stop is not None and self.position >= self.stop

    def begin(self, now: float) -> None:
        """A connection for this segment is being opened."""
        self.blocks = []
        self.meter = Speedometer(now)
        self.waiting = True
        self.waited = 0.0
        self._seen, self._heard_at = 0, now

    def silence(self, now: float) -> float:
        """Seconds for which the network has brought nothing, as seen by those who ask twice a second."""
        if self.received != self._seen or not self.waiting:
            self._seen, self._heard_at = self.received, now
        return now - self._heard_at

    def abandon_connection(self) -> None:
        """Give the present connection up; the fetch goes on over another one."""
        # One that was given up a moment ago cannot be given up again.
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(0.0)
            self.judged += 1
