"""A speed over time, however long it takes, in so many steps at most."""

from __future__ import annotations

__all__ = ["MOST_STEPS", "Curve"]

MOST_STEPS = 120
_GAP = 5.0
"""Seconds without a word after which nothing has moved; until then it went on as before."""


class Curve:
    """Means over steps of equal length, which grows with the time that is told.

    Attributes:
        step: seconds of one step.
    """

    def __init__(self, began: float) -> None:
        self.step = 1.0
        self._began = began
        self._steps: list[tuple[float, int]] = []

    @property
    def values(self) -> tuple[float, ...]:
        """The mean of each step since the beginning."""
        return tuple(total / count for total, count in self._steps)

    def add(self, when: float, value: float) -> None:
        """At ``when``, in seconds on the clock of the beginning, it was ``value``."""
        while (at := self._index(when)) >= MOST_STEPS:
            self._coarsen()
        missing = at - len(self._steps)
        if missing >= 0:
            before = self._steps[-1] if self._steps and missing * self.step < _GAP else (0.0, 1)
            self._steps += [before] * missing
            self._steps.append((value, 1))
        else:
            # A clock that was set back adds to the step that was the last.
            total, count = self._steps[-1]
            self._steps[-1] = total + value, count + 1

    def _index(self, when: float) -> int:
        return max(int((when - self._began) / self.step), 0)

    def _coarsen(self) -> None:
        self.step *= 2
        pairs = [self._steps[at : at + 2] for at in range(0, len(self._steps), 2)]
        # A pair weighs its halves alike, however often each was told.
        self._steps = [(sum(total / count for total, count in pair), len(pair)) for pair in pairs]
