"""What connections to each host have brought lately: a measure for the next ones. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Connection", "Peers"]

LATELY = 16
"""Connections that are remembered of each host."""
TELLING = 1 << 20
"""Bytes below which a connection's speed tells only of the round trip."""
SHORTEST, LONGEST = 2 * BLOCK_SIZE, 16 * BLOCK_SIZE
FIRST = 4 * BLOCK_SIZE
"""Bytes to ask for while nothing is known of a host."""
WORTH = 40
"""How many times longer than its first byte took a range should take: the wait costs a fortieth of the time then."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One request that was answered to its end.

    Attributes:
        received: bytes.
        latency: seconds until the first one.
        seconds: in all.
        waited: of these, those for memory: the volume, and not the host, was what it waited for.
    """

    received: int
    latency: float
    seconds: float
    waited: float = 0.0

    @property
    def speed(self) -> float:
        """Bytes a second once they came."""
        return self.received / max(self.seconds - self.latency, 1e-6)

    @property
    def lost(self) -> float:
        """Seconds that the wait for the first byte cost: none where the volume would have had it wait anyway."""
        return max(0.0, self.latency - self.waited)


class Peers:
    """The last requests to each host.

    Args:
        range_size: bytes to ask any host for, whatever is learned of it; None to go by that.
    """

    def __init__(self, range_size: int | None = None) -> None:
        self._range_size = range_size
        self._lately: dict[str, deque[Connection]] = {}

    def ended(self, host: str, connection: Connection) -> None:
        """A request was answered to its end."""
        if connection.received >= TELLING:
            self._lately.setdefault(host, deque(maxlen=LATELY)).append(connection)

    def speeds(self, host: str) -> Sequence[float]:
        """Bytes a second of the last connections: the only one left has no sibling to be compared with."""
        return [connection.speed for connection in self._lately.get(host, ())]

    def range_size(self, host: str) -> int:
        """Bytes to ask this host for at once, whole blocks.

        Long enough to hide the wait for the first byte, and no longer: the shorter the ranges, the closer to the hash
        blocks arrive, and the fewer have to be read back from the volume.
        """
        if self._range_size is not None:
            return max(BLOCK_SIZE, self._range_size - self._range_size % BLOCK_SIZE)
        lately = self._lately.get(host)
        if not lately:
            return FIRST
        hides = WORTH * median(c.lost for c in lately) * median(c.speed for c in lately)
        blocks = -(-int(hides) // BLOCK_SIZE)
        return max(SHORTEST, min(LONGEST, blocks * BLOCK_SIZE))
