"""Several hosts that serve one file at once, each with a limit of its own: simulated, by the rules of the program.

Time here is counted and not measured: a second is two looks of the watch, and each host gives exactly what it gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from prefetch.net.bounds import HostBounds
from prefetch.net.origin import Origin
from prefetch.transfer.mirrors import Mirrors
from prefetch.transfer.peers import Connection, Peers
from prefetch.transfer.segment import Segment
from prefetch.transfer.watch import TICK, Watch
from prefetch.transfer.worklist import SMALLEST_RANGE

MB = 1_000_000
CONNECTIONS = 16

Rate = Callable[[int], float]
"""Bytes a second that a host gives to so many connections together."""


def limited(total: float) -> Rate:
    """A host that limits its sum."""
    return lambda connections: total * MB


def per_connection(each: float) -> Rate:
    """A host that limits every connection by itself."""
    return lambda connections: each * MB * connections


class Host:
    """A host as the rules see it."""

    ranges: bool | None = None
    pause = 0.0

    def __init__(self, name: str, rate: Rate) -> None:
        self.host = name
        self.rate = rate
        self.given = 0.0


class Range(Segment):
    """A range on its way, whose bytes come by the simulation's clock."""

    def __init__(self, download: Any, origin: Origin, now: float, size: int) -> None:
        super().__init__(download, origin, 0, size)
        self.brought = 0.0
        self.given_up = False
        self.connect(now)

    def connect(self, now: float) -> None:
        self.begin(now)
        self.host = self.origin.host
        self.brought = 0.0

    @property
    def received(self) -> int:
        return int(self.brought)

    @property
    def connected(self) -> bool:
        return True

    def abandon_connection(self) -> None:
        self.given_up = True
        self.judged += 1


class Transfer:
    """One file from several hosts: what `Download`, `Scheduler` and `Fetcher` do about hosts, without any bytes."""

    def __init__(self, size: int, *hosts: Any) -> None:
        self.left = size
        self.now = 0.0
        self.hosts = hosts
        self.mirrors = Mirrors(hosts, together=True, bounds=HostBounds())
        self.peers = Peers()
        self.segments: set[Range] = set()
        self.cut: Counter[str] = Counter()
        self.has_idle = False
        # Of all that a watch is made of, these rules use only these.
        watch: Any = object.__new__(Watch)
        watch._scheduler, watch._peers = self, self.peers
        self.watch = watch
        self.downloads: Any = [self]

    generation = 0

    @property
    def ranges(self) -> Transfer:
        return self

    def seconds(self) -> float:
        """How long it takes."""
        self.until(1000.0)
        assert not self.segments, "it does not end"
        return self.now

    def until(self, moment: float) -> None:
        """Have time pass up to a moment, or to the end."""
        while self.now < moment and (self.left > 0 or self.segments):
            self._fill()
            self._pass()
            self._end()
            for segment in self.segments:
                segment.meter.mark(self.now, segment.received)
            self.mirrors.measure(self.now, self.segments)
            self.watch._give_stalled_up(self.now)
            self._move()

    def _fill(self) -> None:
        while len(self.segments) < CONNECTIONS and self.left > 0:
            origin = self.mirrors.pick(self.segments)
            length = min(self.peers.range_size(origin.host), self.left // (2 * CONNECTIONS))
            size = min(self.left, max(SMALLEST_RANGE, length))
            self.left -= size
            self.segments.add(Range(self, origin, self.now, size))
        self.has_idle = len(self.segments) < CONNECTIONS

    def _pass(self) -> None:
        at_work = Counter(segment.origin for segment in self.segments)
        for segment in self.segments:
            host: Any = segment.origin
            came = min(host.rate(at_work[host]) * TICK / at_work[host], segment.remaining or 0)
            segment.brought += came
            segment.position += int(came)
            host.given += came
        self.now += TICK

    def _end(self) -> None:
        for segment in [each for each in self.segments if (each.remaining or 0) <= 1]:
            self._ended(segment)
            self.segments.discard(segment)

    def _ended(self, segment: Range) -> None:
        self.mirrors.ended(segment.origin, segment.received)
        self.peers.ended(segment.host, Connection(segment.received, 0.0, segment.meter.elapsed))

    def _move(self) -> None:
        for segment in [each for each in self.segments if each.given_up]:
            self.cut[segment.host] += 1
            self._ended(segment)
            self.mirrors.failed(segment.origin)
            segment.given_up = False
            others = self.segments - {segment}
            segment.origin = self.mirrors.pick(others, but={segment.origin})
            segment.connect(self.now)


SHARED: list[tuple[str, tuple[Rate, ...], float]] = [
    ("two that limit their sum", (limited(20), limited(20)), 40),
    ("the second twice as fast", (limited(20), limited(40)), 60),
    ("the first a quarter as fast", (limited(10), limited(40)), 50),
    ("three", (limited(20), limited(20), limited(10)), 50),
    ("two that limit each connection", (per_connection(2), per_connection(2)), 32),
    ("one of each kind", (limited(20), per_connection(3)), 20 + 8 * 3),
]


@pytest.mark.parametrize(("why", "rates", "together"), SHARED, ids=[why for why, *_ in SHARED])
@pytest.mark.parametrize("size", [300 * MB, 800 * MB, 4000 * MB])
def test_each_host_serves_what_it_can(why: str, rates: tuple[Rate, ...], together: float, size: int) -> None:
    hosts = [Host(f"h{number}", rate) for number, rate in enumerate(rates)]
    transfer = Transfer(size, *hosts)
    seconds = transfer.seconds()
    # What a range leaves of its last tick is lost here, and the last range of each connection cannot be shared out.
    assert seconds <= 1.15 * size / (together * MB) + 4.5, [host.given / MB for host in hosts]
    assert sum(transfer.cut.values()) <= CONNECTIONS // 4, "no connection is blamed for its host's limit"


def test_a_host_that_comes_late_does_not_make_the_other_a_laggard() -> None:
    # Its first connections have all of it to themselves: each is many times as fast as one of the other host's.
    early, late = Host("early", limited(10)), Host("late", limited(20))
    transfer = Transfer(2000 * MB, early, late)
    late.pause = 1.0
    transfer.until(4.0)
    late.pause = 0.0
    assert transfer.seconds() <= 1.1 * 2000 / 30 + 4.5, [early.given / MB, late.given / MB]
    assert sum(transfer.cut.values()) <= CONNECTIONS // 2, transfer.cut


@pytest.mark.parametrize("size", [300 * MB, 4000 * MB])
@pytest.mark.parametrize("slow", [0.0, 0.001, 0.2], ids=["silent", "a trickle", "slow"])
@pytest.mark.parametrize("first", [True, False])
def test_a_host_that_gives_next_to_nothing_holds_nothing_up(slow: float, first: bool, size: int) -> None:
    fast, bad = Host("fast", limited(20)), Host("bad", limited(slow))
    transfer = Transfer(size, *((bad, fast) if first else (fast, bad)))
    assert transfer.seconds() <= 1.1 * size / (20 * MB) + 4, transfer.cut
