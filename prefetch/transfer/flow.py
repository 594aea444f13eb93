"""What the transfers of a run have moved so far, and what that has cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from prefetch.report.events import HostBytes, Traffic

__all__ = ["Flow"]


@dataclass(slots=True)
class Flow:
    """Sums that only grow, over every transfer of one run. Belongs to the event loop.

    Attributes:
        received: bytes of body by host, over connections that have ended.
        written: bytes brought to the volume, in ``write_seconds`` of threads' time.
        hashed: bytes hashed, in ``hash_seconds`` of threads' time, which those for reading them back are part of.
    """

    received: Counter[str] = field(default_factory=Counter)
    written: int = 0
    write_seconds: float = 0.0
    hashed: int = 0
    hash_seconds: float = 0.0

    def count_written(self, count: int, seconds: float) -> None:
        self.written += count
        self.write_seconds += seconds

    def count_hashed(self, count: int, seconds: float) -> None:
        self.hashed += count
        self.hash_seconds += seconds

    def traffic(self, arriving: Mapping[str, int]) -> Traffic:
        """The sums as an event; ``arriving`` are the bytes by host of connections that are still open."""
        received = self.received + Counter(arriving)
        return Traffic(
            received=tuple(HostBytes(host, received[host]) for host in sorted(received)),
            written=self.written,
            write_seconds=self.write_seconds,
            hashed=self.hashed,
            hash_seconds=self.hash_seconds,
        )
