"""The hosts of one file: one after another, or all of them at once where every block can be judged by itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from prefetch.net.bounds import HostBounds
from prefetch.net.origin import Origin
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import PATIENCE, Credit, Speedometer, is_worth_replacing

__all__ = ["Mirrors"]

PROBES = 2
"""Connections to a host whose speed is not known yet: one, and another that hides the first one's round trips."""
FAILURES = 2
"""How often in a row a host's connections may break before one is only added where no other host is left."""
HOPELESS = 0.125
"""The share of what another host would give a connection below which it is taken away from its own."""


class Mirrors:
    """Which host the next connection asks.

    What counts is what each host gives to all its connections together: a host that limits its sum gives each the less
    the more of them there are, and is not slow for that.

    Args:
        origins: in the order they are to be tried.
        together: whether all of them may serve the file at once.
        bounds: what each of them may cost.
    """

    def __init__(self, origins: Sequence[Origin], *, together: bool, bounds: HostBounds) -> None:
        self._origins = list(origins)
        self._together = together
        self._bounds = bounds
        self._paces: dict[Origin, _Pace] = {}
        self._failures: Counter[Origin] = Counter()
        self._aside: list[Origin] = []
        self._asked_again: dict[Origin, float] = {}
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
    def is_shared(self) -> bool:
        """Whether several hosts serve the file at once."""
        return len(self.live) > 1

    @property
    def has_more(self) -> bool:
        """Whether there is another host than the first."""
        return len(self._origins) + len(self._aside) > 1

    def pick(self, segments: Iterable[Segment], *, but: Collection[Origin] = ()) -> Origin:
        """The host for one more connection beside ``segments``, none of ``but`` if there is another."""
        live = [origin for origin in self.live if origin not in but] or self.live
        # One that wants no request for now is waited for only where there is no other.
        live = [origin for origin in live if not origin.pause] or live
        if len(live) == 1:
            return live[0]
        at_work = Counter(segment.origin for segment in segments)
        return max(live, key=lambda origin: (self._worth(origin, at_work[origin]), -at_work[origin]))

    def drop(self, origin: Origin) -> bool:
        """Ask ``origin`` no more; False, and without effect, if it is the last one."""
        if not self.has_more:
            return False
        self._origins.remove(origin)
        self._bring_back()
        return True

    def set_aside(self, origin: Origin, now: float) -> bool:
        """Ask ``origin``, which costs too much, only when no other host is left, and then once more.

        Returns:
            False, without effect, if there is no other host, or this was its second time, and it was the last one.
        """
        second = origin in self._asked_again
        self._asked_again[origin] = now + origin.pause
        if second:
            return self.drop(origin)
        if not self.has_more:
            # One that is slow had its time; one that wants a pause is asked once more when the bound is over.
            return origin.pause > 0
        self._origins.remove(origin)
        self._aside.append(origin)
        self._bring_back()
        return True

    def waits_for(self, origin: Origin, now: float) -> bool:
        """Whether it is known that ``origin`` wants a pause, which is not over yet."""
        return now < self._asked_again.get(origin, 0.0)

    def overdrawn(self, segments: Collection[Segment], seconds: float) -> Origin | None:
        """A host that has brought next to nothing for too long, these last ``seconds`` included; None for none.

        Time counts while one of its connections waits for bytes; a pause that it wants counts where another host could
        be asked meanwhile.
        """
        for origin in self.live:
            own = [segment for segment in segments if segment.origin is origin]
            waited = any(each.connected and each.waiting for each in own)
            paused = bool(own) and self.has_more and origin.pause > 0
            arriving = sum(segment.received for segment in own)
            spent = self._pace(origin).charge(arriving, seconds if waited or paused else 0.0)
            if spent or (paused and not self._pace(origin).credit.covers(origin.pause)):
                return origin
        return None

    def _bring_back(self) -> None:
        if not self._origins:
            self._origins, self._aside = self._aside, []
            for origin in self._origins:
                self._pace(origin).credit = Credit(self._bounds)

    def broke(self, segment: Segment) -> None:
        """The segment's connection did: another host is asked first, where there is one that did not fail it."""
        segment.refused_by.add(segment.origin)
        if segment.refused_by >= set(self.live):
            segment.refused_by.clear()
        self.failed(segment.origin)

    def failed(self, origin: Origin) -> None:
        """A connection to ``origin`` broke, stalled or lagged."""
        self._failures[origin] += 1

    def ended(self, origin: Origin, received: int) -> None:
        """A connection to ``origin`` that brought so many bytes has ended."""
        self._pace(origin).ended += received

    def measure(self, now: float, segments: Collection[Segment]) -> None:
        """Take note of what each host has brought up to ``now``."""
        if not self._together:
            return
        for origin in self.live:
            own = [segment for segment in segments if segment.origin is origin and segment.connected]
            if self._pace(origin).mark(now, sum(segment.received for segment in own), at_work=bool(own)):
                self._failures[origin] = 0

    def laggard(self, segments: Collection[Segment], *, idle: bool) -> Segment | None:
        """The slowest connection, if another host would give it far more.

        Args:
            idle: whether there is a connection that has nothing else to do: then it is worth doing much sooner.
        """
        if not self.is_shared:
            return None
        judged = [each for each in segments if each.connected and each.waiting and _is_old_enough(each)]
        slowest = min(judged, key=lambda segment: segment.meter.speed, default=None)
        if slowest is None:
            return None
        at_work = Counter(segment.origin for segment in segments)
        others = (each for each in self.live if each is not slowest.origin and not each.pause)
        best = max((self._gain(origin, at_work[origin]) for origin in others), default=0.0)
        if slowest.meter.speed < HOPELESS * best:
            return slowest
        remaining = slowest.remaining or 0
        worth = idle and is_worth_replacing(
            own=slowest.meter, remaining=remaining, siblings=[best], judged=slowest.judged
        )
        return slowest if worth else None

    def _worth(self, origin: Origin, connections: int) -> float:
        """Bytes a second that each of so many connections has there: the next one is to have no less."""
        return self._each(origin, max(1, connections), unknown=math.inf if connections < PROBES else 0.0)

    def _gain(self, origin: Origin, connections: int) -> float:
        """Bytes a second that a connection may have there beside so many others.

        What a host gives that came late, or wanted a pause, is found out at once.
        """
        return self._each(origin, connections + 1, unknown=0.0 if connections else math.inf)

    def _each(self, origin: Origin, connections: int, *, unknown: float) -> float:
        if self._failures[origin] >= FAILURES:
            return 0.0
        speed = self._pace(origin).speed
        return unknown if speed is None else speed / connections

    def _pace(self, origin: Origin) -> _Pace:
        if origin not in self._paces:
            self._paces[origin] = _Pace(Credit(self._bounds))
        return self._paces[origin]


class _Pace:
    """What one host gives to all connections of this file.

    Attributes:
        ended: bytes over connections that have ended.
        speed: bytes a second while there were connections of late; None as long as it is not known.
        credit: how long it may still bring next to nothing.
    """

    def __init__(self, credit: Credit) -> None:
        self.ended = 0
        self.credit = credit
        self.speed: float | None = None
        self._meter: Speedometer | None = None
        self._base = 0
        self._seen = 0
        self._charged = 0

    def charge(self, arriving: int, seconds: float) -> bool:
        """Note ``seconds`` of waiting, and what came over open connections; whether its credit is used up."""
        total, before = self.ended + arriving, self._charged
        self._charged = total
        return self.credit.is_spent(seconds, total - before)

    def mark(self, now: float, arriving: int, *, at_work: bool) -> bool:
        """Note what came up to ``now``, of it ``arriving`` over open connections; whether that is more than before."""
        total, before = self.ended + arriving, self._seen
        self._seen = total
        if not at_work and total == before:
            # A host that is not asked has no speed of its own to be told by.
            self._meter = None
        elif self._meter is None:
            self._meter, self._base = Speedometer(now), total
        else:
            self._meter.mark(now, total - self._base)
            if self._meter.elapsed >= PATIENCE:
                self.speed = self._meter.speed
        return total > before


def _is_old_enough(segment: Segment) -> bool:
    patience: float = PATIENCE * 2**segment.judged
    return segment.meter.elapsed >= patience
