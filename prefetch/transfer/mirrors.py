"""The hosts of one file: one after another, or all of them at once where every block can be judged by itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from prefetch.net.origin import Origin
from prefetch.transfer.segment import Segment

__all__ = ["Mirrors"]

LAGS = 2
"""How often a host's connections may lag far behind the others' before one is only added where it helps."""


class Mirrors:
    """Which host the next connection asks.

    Args:
        origins: in the order they are to be tried.
        together: whether all of them may serve the file at once.
    """

    def __init__(self, origins: Sequence[Origin], *, together: bool) -> None:
        self._origins = list(origins)
        self._together = together
        self._lags: Counter[Origin] = Counter()
        if together:
            ranged = [origin for origin in origins if origin.ranges is not False]
            self._origins = ranged or self._origins[:1]

    @property
    def live(self) -> Sequence[Origin]:
        """The hosts that are asked now."""
        return self._origins if self._together else self._origins[:1]

    @property
    def hosts(self) -> str:
        """Their names, for a sentence."""
        return " and ".join(dict.fromkeys(origin.host for origin in self.live))

    @property
    def has_more(self) -> bool:
        """Whether there is another host than the first."""
        return len(self._origins) > 1

    def pick(self, segments: Iterable[Segment], *, but: Collection[Origin] = ()) -> Origin:
        """The host for one more connection beside ``segments``, none of ``but`` if there is another."""
        live = [origin for origin in self.live if origin not in but] or self.live
        # One that wants no request for now is waited for only where there is no other.
        live = [origin for origin in live if not origin.pause] or live
        if len(live) == 1:
            return live[0]
        at_work = list(segments)
        return max(live, key=lambda origin: self._gain(origin, at_work))

    def drop(self, origin: Origin) -> bool:
        """Ask ``origin`` no more; False, and without effect, if it is the last one."""
        if len(self._origins) == 1:
            return False
        self._origins.remove(origin)
        return True

    def lagged(self, origin: Origin) -> None:
        """A connection to ``origin`` lagged far behind its siblings."""
        self._lags[origin] += 1

    def _gain(self, origin: Origin, segments: Iterable[Segment]) -> float:
        """Bytes a second that another connection may have there, if the host's own speed limits its siblings."""
        speeds = [segment.meter.speed for segment in segments if segment.origin is origin]
        if speeds:
            return sum(speeds) / (len(speeds) + 1)
        # A host that has none is asked first, so that each one's speed is known; unless that was tried in vain.
        return math.inf if self._lags[origin] < LAGS else 0.0
