"""When is a connection stuck? Relative to its siblings, never to a number that suits one network. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median

from prefetch.net.bounds import HostBounds

__all__ = ["PATIENCE", "Credit", "Speedometer", "is_stalled", "is_worth_replacing"]

SILENCE = 30.0
"""Seconds without a byte after which a connection with no moving sibling is given up."""
PATIENCE = 1.0
"""Seconds a connection may lag before it is judged, or TCP's slow start would be; doubled each time it was judged."""
WINDOW = 3.0
"""Seconds over which a speed is taken."""
FAR_BELOW = 0.25
"""The share of its siblings' median speed under which a connection is stuck."""
HANDSHAKE = 0.5
"""Seconds that another connection may take to bring its first byte."""
SOONER = 2.0
"""How many times sooner another connection must be done, where one is free, to take over what is left."""


class Speedometer:
    """Bytes a second over the last seconds."""

    __slots__ = ("_began", "_marks")

    def __init__(self, now: float) -> None:
        self._began = now
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def mark(self, now: float, total: int) -> None:
        """Note that ``total`` bytes have been counted up to ``now``."""
        self._marks.append((now, total))
        while len(self._marks) > 2 and self._marks[1][0] <= now - WINDOW:
            self._marks.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds measured in all."""
        return self._marks[-1][0] - self._began

    @property
    def speed(self) -> float:
        """Bytes a second; 0 before time has passed."""
        (since, before), (now, total) = self._marks[0], self._marks[-1]
        return (total - before) / (now - since) if now > since else 0.0


class Credit:
    """How long a host may still bring next to nothing: seconds are taken off, and bytes at the least rate earn them."""

    def __init__(self, bounds: HostBounds) -> None:
        self._bounds = bounds
        self._left = bounds.patience

    def covers(self, pause: float) -> bool:
        """Whether a pause of so many seconds may be waited for although another host could be asked."""
        return pause < self._left / 2

    def is_spent(self, seconds: float, received: int) -> bool:
        """Note ``seconds`` in which ``received`` bytes came, none of them counted before; whether nothing is left."""
        self._left = min(self._bounds.patience, self._left - seconds + received / self._bounds.rate)
        return self._left <= 0


def is_stalled(
    *, own: Speedometer, silent: float, siblings: Sequence[float], judged: int, elsewhere: bool = False
) -> bool:
    """Whether a connection should be given up for another one.

    Args:
        own: the connection's speed since it was opened.
        silent: seconds it has waited for its next byte.
        siblings: speeds of the other connections, of now and of late, bytes a second.
        judged: how often this range lost a connection this way already, so that a really slow host is not hunted.
        elsewhere: whether other hosts, whose speed is no measure for this one's, bring the same file meanwhile.
    """
    patience = PATIENCE * 2**judged
    if silent >= max(SILENCE, patience):
        return True
    moving = [speed for speed in siblings if speed > 0]
    if own.elapsed < patience or not (moving or elsewhere):
        return False
    return silent >= patience or (bool(moving) and own.speed < FAR_BELOW * median(moving))


def is_worth_replacing(*, own: Speedometer, remaining: int, siblings: Sequence[float], judged: int) -> bool:
    """Whether a connection that has nothing else to do would bring the rest of a range much sooner.

    Args:
        own: the speed of the connection at work, since it was opened.
        remaining: bytes it still has to bring.
        siblings, judged: as for `is_stalled`.
    """
    moving = [speed for speed in siblings if speed > 0]
    if not moving or own.elapsed < HANDSHAKE * 2**judged:
        return False
    return remaining > own.speed * SOONER * (HANDSHAKE + remaining / median(moving))
