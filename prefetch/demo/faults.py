"""Scripted faults: which requests they meet, and what they make of the replies. Everything but the counters is pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from threading import Lock
from typing import Literal

from prefetch.demo.actions import Action, Flip
from prefetch.demo.messages import Reply, Request

__all__ = ["Fault", "Script", "corrupt", "covers"]

RangePredicate = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One misbehaviour.

    Attributes:
        do: what becomes of the reply.
        path: a glob over the request's path, or over the ``owner/name/path`` it is about; ``*`` crosses slashes.
        method: a glob over the method.
        server: ``hub``, ``cdn`` or ``civitai``; None for all.
        skip: how many matching requests pass unharmed first.
        times: how many are harmed after those; None for all.
        range: looks at the window ``(start, stop)`` of the file that the reply would carry; no other reply matches.
    """

    do: Action
    path: str = "*"
    method: str = "GET"
    server: Literal["hub", "cdn", "civitai"] | None = None
    skip: int = 0
    times: int | None = 1
    range: RangePredicate | None = None

    def matches(self, request: Request, reply: Reply) -> bool:
        """Whether this request counts for this fault."""
        return (
            self.server in (None, request.server)
            and fnmatchcase(request.method, self.method)
            and (fnmatchcase(request.path, self.path) or fnmatchcase(reply.file, self.path))
            and (self.range is None or (reply.status in (200, 206) and self.range(reply.start, reply.stop)))
        )

    def strikes(self, nth: int) -> bool:
        """Whether the ``nth`` matching request, counted from 0, is harmed."""
        return nth >= self.skip and (self.times is None or nth < self.skip + self.times)


class Script:
    """Faults with their counters. Safe to use from many threads at once."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._entries = [_Entry(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Append faults, whose counters begin at 0."""
        with self._lock:
            self._entries.extend(map(_Entry, faults))

    def clear(self) -> None:
        """Behave from now on."""
        with self._lock:
            self._entries.clear()

    def apply(self, request: Request, reply: Reply) -> tuple[Reply, tuple[str, ...]]:
        """The reply with every fault that strikes applied in order, and the names of those."""
        names = []
        for fault in self._striking(request, reply):
            reply = fault.do(request, reply)
            names.append(type(fault.do).__name__)
        return reply, tuple(names)

    def _striking(self, request: Request, reply: Reply) -> list[Fault]:
        with self._lock:
            counted = [entry for entry in self._entries if entry.fault.matches(request, reply)]
            striking = [entry.fault for entry in counted if entry.fault.strikes(entry.seen)]
            for entry in counted:
                entry.seen += 1
            return striking


@dataclass(slots=True)
class _Entry:
    fault: Fault
    seen: int = 0


def covers(offset: int) -> RangePredicate:
    """Matches replies that carry the file's byte at ``offset``."""
    return lambda start, stop: start <= offset < stop


def corrupt(path: str, offset: int, *, times: int | None = 1) -> Fault:
    """Invert the byte at ``offset`` of a file in the first ``times`` replies that carry it."""
    return Fault(do=Flip(offset), path=path, range=covers(offset), times=times)
