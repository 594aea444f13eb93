"""A file's bytes by their offset, within a budget: whatever its lengths and counts claim, reading it ends."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Literal

__all__ = ["LARGEST_TEXT", "Budget", "Order", "OverBudget", "Reader"]

Order = Literal["big", "little"]
"""Which byte of a number comes first."""

LARGEST_TEXT = 16 * 2**20
"""The longest text that is read, in bytes."""

_MOST_READS = 100_000
_MOST_BYTES = 5 * LARGEST_TEXT // 2


class OverBudget(EOFError):
    """The file has more parts than are looked at."""


@dataclass(slots=True)
class Budget:
    """What may still be read of one file. A real one takes a few hundred reads, and little but its two texts."""

    reads: int = _MOST_READS
    bytes: int = _MOST_BYTES

    def spend(self, size: int) -> None:
        """Count a read of ``size`` bytes; raises OverBudget."""
        self.reads -= 1
        self.bytes -= size
        if self.reads < 0 or self.bytes < 0:
            raise OverBudget


class Reader:
    """A file, or a part of it, to be read anywhere.

    Args:
        file: can be sought.
        start, stop: the part's first byte in the file, and the first after it; all of the file by default.
    """

    def __init__(self, file: IO[bytes], start: int = 0, stop: int | None = None, budget: Budget | None = None) -> None:
        self._file = file
        self._start = start
        self._budget = Budget() if budget is None else budget
        self.size = (file.seek(0, os.SEEK_END) if stop is None else stop) - start

    def part(self, start: int, stop: int) -> Reader:
        """The bytes from ``start`` up to ``stop``, as far as there are any. It spends of the same budget."""
        start = min(start, self.size)
        return Reader(self._file, self._start + start, self._start + min(max(start, stop), self.size), self._budget)

    def within(self, file: IO[bytes]) -> Reader:
        """Another file that was put together from this one, on the same budget."""
        return Reader(file, budget=self._budget)

    def read(self, at: int, size: int) -> bytes:
        """Exactly ``size`` bytes; raises EOFError where there are fewer, or too many were read."""
        if at + size > self.size:
            raise EOFError
        self._budget.spend(size)
        self._file.seek(self._start + at)
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def up_to(self, at: int, size: int) -> bytes:
        """At most ``size`` bytes: fewer at the end."""
        return self.read(at, max(min(size, self.size - at), 0))

    def rest(self, at: int = 0) -> bytes:
        """All from ``at`` on."""
        return self.up_to(at, self.size)

    def number(self, at: int, size: int, order: Order = "big") -> int:
        """The number without sign in ``size`` bytes."""
        return int.from_bytes(self.read(at, size), order)
