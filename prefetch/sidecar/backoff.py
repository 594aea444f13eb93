"""How long to wait before something is tried again: longer each time, and never at the same moment as the others."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]

LONGEST = 900.0
"""Seconds between two tries at most, where the usual time is shorter."""


class Backoff:
    """Waits that double with each failure, each one between half of it and the whole.

    Args:
        usual: seconds between two tries where all is well.
        uniform: draws from ``[0, 1)``.
    """

    def __init__(self, usual: float, *, uniform: Callable[[], float] = random.random) -> None:
        self._usual = usual
        self._uniform = uniform
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        window = min(max(LONGEST, self._usual), self._usual * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return window * (1 + self._uniform()) / 2

    def reset(self) -> float:
        """It went well; seconds to wait until the next time."""
        self._failures = 0
        # A tenth less at most, so that those who were started together do not ask together for ever.
        return self._usual * (1 - self._uniform() / 10)
