"""Server-sent events: bytes in, each event's id and data out. Pure, one event at a time, as far as it has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["EventReader", "ServerEvent"]

_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event; ``id`` is where a stream can be taken up again after it."""

    id: str | None
    data: str


@dataclass(slots=True)
class EventReader:
    """Collects the pieces of a stream and gives the events that are whole."""

    _rest: bytes = b""
    _id: str | None = None
    _data: list[str] = field(default_factory=list)

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that this piece completes. A line of more than 1 MiB is dropped."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _LONGEST:
            self._rest = b""
        for line in lines:
            event = self._take(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None

    def _complete(self) -> ServerEvent | None:
        if not self._data:
            return None
        event = ServerEvent(self._id, "\n".join(self._data))
        self._data.clear()
        return event
