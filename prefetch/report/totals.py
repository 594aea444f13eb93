"""What was moved in all runs: each run tells its own sums, from zero on."""

from __future__ import annotations

from collections import Counter

from prefetch.report.events import HostBytes, Traffic

__all__ = ["Totals"]

_NOTHING = Traffic((), 0, 0.0, 0, 0.0)


class Totals:
    """The sums over the runs that ended and the one that is under way."""

    def __init__(self) -> None:
        self._earlier = self._now = _NOTHING
        self._hosts: dict[str, None] = {}

    def begin(self) -> None:
        """Another run begins."""
        self._earlier, self._now = self.traffic, _NOTHING

    def note(self, traffic: Traffic) -> bool:
        """What the run under way has moved by now; whether that is more than before."""
        has_grown = traffic != self._now
        self._now = traffic
        self._hosts.update(dict.fromkeys(host.host for host in traffic.received))
        return has_grown

    @property
    def traffic(self) -> Traffic:
        """What was moved in all runs."""
        return _sum(self._earlier, self._now)

    @property
    def received(self) -> dict[str, int]:
        """Bytes of body by host, in the order in which the hosts became known."""
        summed = {host.host: host.bytes for host in self.traffic.received}
        return {host: summed[host] for host in self._hosts}


def _sum(one: Traffic, other: Traffic) -> Traffic:
    received: Counter[str] = Counter()
    for host in (*one.received, *other.received):
        received[host.host] += host.bytes
    return Traffic(
        received=tuple(HostBytes(host, count) for host, count in sorted(received.items())),
        written=one.written + other.written,
        write_seconds=one.write_seconds + other.write_seconds,
        hashed=one.hashed + other.hashed,
        hash_seconds=one.hash_seconds + other.hash_seconds,
    )
