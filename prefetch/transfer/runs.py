"""Which blocks of a file nobody has asked for yet: sorted runs of block numbers. Pure."""

from __future__ import annotations

from bisect import insort
from collections.abc import Container, Iterable, Iterator

__all__ = ["Runs"]


class Runs:
    """A set of block numbers kept as sorted, disjoint, half-open runs ``(first, last)``."""

    __slots__ = ("_runs",)

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        self._runs: list[tuple[int, int]] = []
        for first, last in runs:
            self.add(first, last)

    @classmethod
    def missing(cls, count: int, present: Container[int]) -> Runs:
        """Those of the blocks 0 … ``count`` - 1 that are not ``present``."""
        runs = cls()
        first = 0
        for index in range(count + 1):
            if index == count or index in present:
                if first < index:
                    runs._runs.append((first, index))
                first = index + 1
        return runs

    def __bool__(self) -> bool:
        return bool(self._runs)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._runs)

    def __len__(self) -> int:
        """How many blocks, not how many runs."""
        return sum(last - first for first, last in self._runs)

    def add(self, first: int, last: int) -> None:
        """Put the blocks ``[first, last)`` in; those that are in already stay in."""
        if first >= last:
            return
        insort(self._runs, (first, last))
        merged: list[tuple[int, int]] = []
        for low, high in self._runs:
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        self._runs = merged

    def take(self, limit: int) -> tuple[int, int] | None:
        """Remove and return the lowest run, of at most ``limit`` blocks; None when empty."""
        if not self._runs:
            return None
        first, last = self._runs[0]
        cut = min(last, first + limit)
        if cut == last:
            del self._runs[0]
        else:
            self._runs[0] = (cut, last)
        return first, cut

    def clear(self) -> None:
        self._runs.clear()
