"""Looks at a running transfer twice a second: who is stuck, what to flush, how fast it goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from prefetch.loop import idle_seconds
from prefetch.report.events import Listener, Progress, Transfer
from prefetch.transfer.buffers import Buffers
from prefetch.transfer.download import Download
from prefetch.transfer.flow import Flow
from prefetch.transfer.limits import Budget
from prefetch.transfer.load import LoadMeter
from prefetch.transfer.order import Order
from prefetch.transfer.peers import Peers
from prefetch.transfer.scheduler import Scheduler
from prefetch.transfer.segment import Segment
from prefetch.transfer.stalls import Speedometer, is_stalled, is_worth_replacing
from prefetch.transfer.tally import Tally

__all__ = ["Watch"]

TICK = 0.5
"""Seconds between two looks."""
SYNC_SECONDS = 5.0
"""Seconds for which anything may stay unsynced, where so little comes that its amount is no reason to sync."""


class Watch:
    """The one task that looks at a whole transfer from outside."""

    def __init__(
        self,
        scheduler: Scheduler,
        orders: Sequence[Order],
        *,
        budget: Budget,
        buffers: Buffers,
        tally: Tally,
        flow: Flow,
        peers: Peers,
        listener: Listener,
        clock: Callable[[], float],
    ) -> None:
        self._scheduler = scheduler
        self._models = len(orders)
        self._bytes = sum(order.size or 0 for order in orders)
        self._budget = budget
        self._buffers = buffers
        self._tally = tally
        self._flow = flow
        self._peers = peers
        self._listener = listener
        self._clock = clock
        self._meter = Speedometer(clock())
        self._moving = budget.target
        self._load = LoadMeter(clock(), idle_seconds())
        self._flushed: dict[Download, float] = {}
        self._looked = clock()

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            self._give_lost_up()
            self._measure(now)
            self._give_stalled_up(now)
            self._give_slow_hosts_up(now)
            self._flush(now)
            self._report()

    def _give_lost_up(self) -> None:
        for download in self._scheduler.downloads:
            if (error := download.order.lost()) is not None:
                download.fail(error)

    def _measure(self, now: float) -> None:
        for segment in self._scheduler.segments:
            segment.meter.mark(now, segment.received)
        for download in self._scheduler.downloads:
            download.ranges.measure(now)
        self._meter.mark(now, self._tally.received + sum(segment.received for segment in self._scheduler.segments))
        taken = self._scheduler.taken
        load = self._load.look(now, waiting=self._buffers.waiting / max(1, taken), idle=idle_seconds())
        self._budget.tick(speed=self._meter.speed, used=taken, load=load)
        # Connections that are no more need no block on its way: it may be kept until it is hashed.
        self._buffers.shift(self._moving - self._budget.target)
        self._moving = self._budget.target

    def _give_stalled_up(self, now: float) -> None:
        for segment in self._scheduler.segments:
            silent = segment.silence(now)
            if segment.connected and segment.waiting and self._is_stuck(segment, silent):
                segment.abandon_connection()
        for download in self._scheduler.downloads:
            # One at a time: the next one is judged by what this one changed.
            ranges = download.ranges
            laggard = ranges.mirrors.laggard(ranges.segments, idle=self._scheduler.has_idle)
            if laggard is not None:
                laggard.abandon_connection()

    def _give_slow_hosts_up(self, now: float) -> None:
        # A process that was stopped for a while has waited for nobody meanwhile.
        seconds, self._looked = min(now - self._looked, 2 * TICK), now
        for download in list(self._scheduler.downloads):
            download.give_slow_hosts_up(seconds)

    def _is_stuck(self, segment: Segment, silent: float) -> bool:
        own, judged, siblings = segment.meter, segment.judged, self._siblings(segment)
        ranges = segment.download.ranges
        shared = ranges.mirrors.is_shared
        elsewhere = shared and any(other.meter.speed > 0 for other in ranges.segments if other is not segment)
        if is_stalled(own=own, silent=silent, siblings=siblings, judged=judged, elsewhere=elsewhere):
            return True
        # Where there is a choice of hosts, the download tells which connection is worth to be replaced.
        return (
            not shared
            and self._scheduler.has_idle
            and is_worth_replacing(own=own, remaining=segment.remaining or 0, siblings=siblings, judged=judged)
        )

    def _siblings(self, segment: Segment) -> list[float]:
        """Speeds of the connections to the same host, of now and of late.

        Where several hosts share a file, the number of each one's connections changes by the second, and with it what
        each of them has: those of late count only where there are none now.
        """
        host, ranges = segment.origin.host, segment.download.ranges
        if ranges.mirrors.is_shared:
            own = [each for each in ranges.segments if each.origin is segment.origin and each is not segment]
            return [each.meter.speed for each in own if each.meter.speed > 0] or [*self._peers.speeds(host)]
        others = (each for each in self._scheduler.segments if each is not segment and each.origin.host == host)
        return [*(each.meter.speed for each in others), *self._peers.speeds(host)]

    def _flush(self, now: float) -> None:
        downloads = self._scheduler.downloads
        self._flushed = {download: self._flushed.get(download, now) for download in downloads}
        for download, last in self._flushed.items():
            if download.partial.unsynced_bytes and now - last >= SYNC_SECONDS:
                self._flushed[download] = now
                download.assembly.flush()

    def _report(self) -> None:
        active = tuple(_transfer(download) for download in self._scheduler.downloads)
        progress = Progress(
            active=active,
            bytes_done=self._tally.bytes_ended + sum(transfer.done for transfer in active),
            bytes_total=self._bytes,
            models_done=self._tally.models_ended,
            models_total=self._models,
            speed=self._meter.speed,
            connections=self._scheduler.taken,
        )
        self._listener(progress)
        arriving: Counter[str] = Counter()
        for segment in self._scheduler.segments:
            arriving[segment.host] += segment.received
        self._listener(self._flow.traffic(arriving))


def _transfer(download: Download) -> Transfer:
    return Transfer(
        path=download.order.path,
        size=download.partial.size,
        done=download.bytes_here,
        hashed=download.assembly.bytes_hashed,
        connections=len(download.ranges.segments),
        speed=download.ranges.meter.speed,
    )
