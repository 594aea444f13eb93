"""Which bytes of one file each connection fetches, and from which of its hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from prefetch.net.bounds import HostBounds
from prefetch.net.origin import Origin
from prefetch.transfer.listed import Listed
from prefetch.transfer.mirrors import Mirrors
from prefetch.transfer.order import Order
from prefetch.transfer.runs import Runs
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Speedometer
from prefetch.transfer.worklist import Worklist
from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.incoming import Incoming

__all__ = ["Ranges", "Span"]

Span = tuple[Origin, int, int | None]
"""A host, and the bytes ``[start, stop)`` to be asked of it; ``stop`` is None while the file's size is unknown."""


class Ranges:
    """Hands ranges out to connections and takes back what they did not bring. Belongs to the event loop.

    Args:
        over: set once nothing is to be fetched any more.
        bounds: what each host may cost.

    Attributes:
        mirrors: the file's hosts.
        work: what is to be fetched, and what is on its way.
        meter: how fast the file comes.
        whole_because: why one connection has to fetch the file from its start to its end, as the end of a sentence;
            empty where ranges can be fetched.
    """

    def __init__(
        self,
        order: Order,
        partial: Incoming,
        listed: Listed,
        *,
        over: asyncio.Event,
        now: float,
        bounds: HostBounds,
    ) -> None:
        self.mirrors = Mirrors(order.origins, together=order.digests is not None, bounds=bounds)
        self.work = Worklist()
        self.meter = Speedometer(now)
        self._partial = partial
        self.whole_because = self._why_whole()
        self._listed = listed
        self._over = over
        self._received_before = 0
        self._cut: tuple[str, int] | None = None

    def is_cut_again(self, segment: Segment) -> bool:
        """Whether the connection that reads the whole file broke where the one before broke at the same host."""
        before, self._cut = self._cut, (segment.host, segment.position)
        return segment.position > 0 and before == self._cut

    @property
    def whole_only(self) -> bool:
        """Whether the file can only be fetched as a whole."""
        return bool(self.whole_because)

    @property
    def segments(self) -> set[Segment]:
        """Ranges that connections are fetching now."""
        return self.work.segments

    @property
    def received(self) -> int:
        """Bytes of body received so far, over all connections."""
        return self._received_before + sum(segment.received for segment in self.segments)

    @property
    def bytes_wanted(self) -> int:
        """Bytes still to be received, by which connections are shared out."""
        return self.work.bytes_wanted

    @property
    def has_pending(self) -> bool:
        """Whether another connection could help."""
        return bool(self.work) and not self._over.is_set() and self._listed.allows(self.work.first)

    def missing(self, present: Container[int]) -> Runs:
        """The file's blocks that are not ``present``. One of unknown size begins with a first block."""
        if self._partial.size == 0:
            return Runs()
        return Runs.missing(max(1, self._partial.block_count), present)

    def take(self, length: Callable[[str], int]) -> Span:
        """The next range to fetch, of at most ``length(host)`` bytes. There must be one: see `has_pending`."""
        origin = self.mirrors.pick(self.segments, but=self._listed.contradicted(self.work.first))
        limit = self._partial.block_count * BLOCK_SIZE if self.whole_only else length(origin.host)
        return origin, *self.work.next_range(limit, self._partial.size)

    def split(self) -> Span | None:
        """The second half of the longest range in flight, if both halves are worth a request."""
        if self._over.is_set() or self.whole_only:
            return None
        tail = self.work.halve_longest()
        return tail and (self.mirrors.pick(self.segments), *tail)

    def begin(self, segment: Segment) -> None:
        """A connection fetches ``segment`` from now on."""
        self.segments.add(segment)

    def choose_host(self, segment: Segment) -> None:
        """Have the segment's next connection go to a host that is still asked and did not just fail it."""
        origin = segment.origin
        if origin not in self.mirrors.live or origin in segment.refused_by or origin.pause:
            segment.origin = self.mirrors.pick(self.segments, but=segment.refused_by)

    def measure(self, now: float) -> None:
        """Take note of what has been received up to ``now``."""
        self.meter.mark(now, self.received)
        self.mirrors.measure(now, self.segments)

    def ended(self, segment: Segment) -> None:
        """The segment's connection has ended, with what it brought."""
        self._received_before += segment.received
        self.mirrors.ended(segment.origin, segment.received)

    def give_back(self, segment: Segment) -> None:
        """What ``segment`` did not bring is to be fetched by another connection."""
        if segment.stop is not None:
            self.work.add(segment.position // BLOCK_SIZE, -(-segment.stop // BLOCK_SIZE))

    def host_left(self) -> None:
        """Another host is asked from now on, which may do what the one before could not."""
        self.whole_because = self._why_whole()

    def _why_whole(self) -> str:
        host = self.mirrors.live[0]
        if host.ranges is False:
            return f"{host.host} serves no ranges"
        return f"{host.host} does not tell its size" if self._partial.identity.size is None else ""
