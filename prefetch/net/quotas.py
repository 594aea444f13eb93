"""How many requests a host still takes in its present window: counted, so that none is refused to learn it. Pure.

A host tells with each answer how many are left (``RateLimit``) and how many a new window begins with
(``RateLimit-Policy``). What is under way may be counted in that already or not, so it is taken off once more.
"""

from __future__ import annotations

from prefetch.net.headers import RequestsLeft

__all__ = ["Quota"]

OVERTAKEN = 1.0
"""Seconds by which the end of one window may seem to move, as answers take their time."""


class Quota:
    """What is known of one window and the next. Moments are seconds that only grow.

    Attributes:
        under_way: requests that were sent and not answered.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self._left: int | None = None
        self._until = 0.0
        self._told: RequestsLeft | None = None

    def wait(self, now: float) -> float:
        """Seconds until there is room for another request, if no answer tells of some before; 0 if there is."""
        if now >= self._until:
            self._begin(now)
        room = self._left is None or self._left > self.under_way
        return 0.0 if room else self._until - now

    def learn(self, told: RequestsLeft, now: float) -> None:
        """Take note of what an answer tells."""
        until = now + told.seconds
        if self._left is not None and abs(until - self._until) <= OVERTAKEN:
            # Answers overtake each other: of one window the least is what was told last.
            self._left = min(self._left, told.left)
        else:
            # One that ends sooner is another one too: what is left of a short window says nothing of a long one.
            self._left, self._until = told.left, until
        self._told = told

    def _begin(self, now: float) -> None:
        """A new window has begun, as large as the policy says."""
        told = self._told
        if told is None or told.quota is None or told.window is None:
            self._left = None
        else:
            self._left, self._until = told.quota, now + told.window
