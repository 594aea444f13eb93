"""What nginx sent, and when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

__all__ = ["AccessLog", "Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """One answered request.

    Attributes:
        asked: when its first byte had come, in seconds since the epoch.
        ended: when its last byte had been handed to the kernel.
        sent: bytes of its body that had been, all of them or until the client left.
    """

    asked: float
    ended: float
    sent: int


@dataclass(frozen=True, slots=True)
class AccessLog:
    """nginx's log in the format it is told to write."""

    FORMAT: ClassVar[str] = "$msec $request_time $body_bytes_sent"

    path: Path

    def forget(self) -> None:
        """Begin anew; nginx appends, so its next line is the first."""
        self.path.write_bytes(b"")

    def responses(self) -> list[Response]:
        """All since `forget`, in the order they ended."""
        return [_response(line) for line in self.path.read_text().splitlines()]


def _response(line: str) -> Response:
    ended, seconds, sent = line.split()
    return Response(float(ended) - float(seconds), float(ended), int(sent))
