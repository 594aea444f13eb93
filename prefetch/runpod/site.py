"""One data center's course: its volume, its pod, the job in it, and no pod any more."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefetch.errors import Interrupted, PrefetchError
from prefetch.net.retry import RetryListener
from prefetch.report.events import Filling, Listener, Notice
from prefetch.runpod.answers import LogLine, Pod, Volume
from prefetch.runpod.client import RunPod
from prefetch.runpod.following import Following, PodLost
from prefetch.runpod.intent import PodRequest
from prefetch.runpod.single import oldest, one_pod, one_volume, remove_all

__all__ = ["Filled", "Plot", "Site", "VolumeWanted"]

_EVENT = '{"ts": '
"""What an event of the JSON log begins with."""


@dataclass(frozen=True, slots=True)
class VolumeWanted:
    """A volume that is to be made: its name, and its size in GB."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Plot:
    """What is decided for a data center before anything is made.

    Attributes:
        volume: the one that is there, or the one that is to be made.
        flavors: ids of the kinds of CPU pods to try, in this order.
        price: US dollars an hour of the first of them.
        hours: the most that a pod may take.
        request: what the pod is to be, for the volume's id and size.
    """

    data_center: str
    volume: Volume | VolumeWanted
    flavors: Sequence[str]
    price: float
    hours: float
    request: Callable[[Volume], PodRequest] = field(repr=False)


@dataclass(slots=True)
class Filled:
    """What became of a data center; ``result`` is the job's own document, ``hours`` and ``price`` those of its pod."""

    data_center: str
    volume: Volume | None = None
    volume_created: bool = False
    pod_id: str | None = None
    flavor: str | None = None
    price: float = 0.0
    hours: float = 0.0
    result: Mapping[str, Any] | None = None
    error: PrefetchError | None = None

    @property
    def cost(self) -> float:
        """US dollars for the pod, by its price and the time it was there."""
        return self.price * self.hours

    @property
    def exit_code(self) -> int:
        """The job's, or that of the error that kept us from it."""
        if self.error is not None:
            return self.error.exit_code
        return int(self.result["exit_code"]) if self.result is not None else PrefetchError.exit_code


class Site:
    """Brings one data center to its end. `fill` always returns, and leaves no pod.

    Args:
        on_retry: told of each call of the API that is made again.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        api: RunPod,
        plot: Plot,
        *,
        listener: Listener,
        on_retry: RetryListener,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._plot = plot
        self._listener = listener
        self._on_retry = on_retry
        self._clock = clock
        self._filled = Filled(plot.data_center)

    async def fill(self) -> Filled:
        """Make what is missing, follow the job to its result, and remove the pod, whatever happens."""
        filled = self._filled
        try:
            volume = await self._volume()
            request = self._plot.request(volume)
            try:
                filled.result = await self._done(request)
            finally:
                # Also after Ctrl-C: the first one only cancels, and this is worth waiting for.
                await self._remove(request.intent)
        except PrefetchError as error:
            filled.error = error
        except asyncio.CancelledError:
            filled.error = Interrupted(
                f"Interrupted: the pod in {filled.data_center} is removed, and what is on the volume is kept.",
                remedy="Run the same command again to go on.",
            )
        self._tell("failed" if filled.exit_code else "done")
        return filled

    async def _volume(self) -> Volume:
        wanted = self._plot.volume
        if isinstance(wanted, VolumeWanted):
            self._tell("making the volume")
            volume, made = await one_volume(
                self._api,
                name=wanted.name,
                size=wanted.size,
                data_center=self._plot.data_center,
                on_retry=self._on_retry,
            )
            self._filled.volume_created = made
        else:
            volume = wanted
        self._filled.volume = volume
        return volume

    async def _done(self, request: PodRequest) -> Mapping[str, Any]:
        self._tell("asking for a pod")
        found = await oldest(self._api, request.intent)
        if found is not None and found.is_over:
            # One more, on a volume that may be full already, costs seconds, and tells a result.
            await remove_all(self._api, request.intent)
        pod = await one_pod(self._api, request, self._plot.flavors, on_retry=self._on_retry)
        began = self._clock()
        self._note(pod, joined=found is not None and found.id == pod.id)
        try:
            return await self._followed(pod, request.intent)
        finally:
            self._filled.hours += (self._clock() - began) / 3600

    def _note(self, pod: Pod, *, joined: bool) -> None:
        filled = self._filled
        filled.pod_id, filled.price, filled.flavor = pod.id, pod.cost or self._plot.price, pod.flavor
        if joined:
            filled.hours = max(0.0, time.time() - pod.created.timestamp()) / 3600
            self._listener(Notice("info", f"{filled.data_center}: pod {pod.id} is at work on this already"))
        self._tell(f"pod {pod.id} is starting")

    async def _followed(self, pod: Pod, intent: str) -> Mapping[str, Any]:
        while True:
            try:
                return await Following(self._api, pod, intent, heard=self._hear, hours=self._plot.hours).result()
            except PodLost:
                # Ours may have given way to an older one of the same intent.
                other = await oldest(self._api, intent)
                if other is None or other.id == pod.id:
                    raise
                pod = other
                self._note(pod, joined=True)

    async def _remove(self, intent: str) -> None:
        self._tell("removing the pod")
        began = self._clock()
        removal = asyncio.create_task(remove_all(self._api, intent))
        try:
            await asyncio.shield(removal)
        except asyncio.CancelledError:
            await removal
            raise
        if self._filled.pod_id is not None:
            self._filled.hours += (self._clock() - began) / 3600

    def _hear(self, line: LogLine) -> None:
        """Make of a line of the pod's log what there is for a person to see."""
        if line.source == "system":
            self._tell(f"pod is starting: {line.line}"[:120])
            return
        event = _event(line.line)
        match event.get("event"):
            case "progress":
                self._moved(event)
            case "notice" | "model_failed" | "error" if isinstance(event.get("message"), str):
                self._remark(event["message"], warning=event.get("level") != "info")
            case "model_done" if isinstance(event.get("path"), str):
                self._remark(f"{event.get('status')} {event['path']}", warning=False)
            case None:
                self._tell(line.line[:120])

    def _remark(self, text: str, *, warning: bool) -> None:
        self._listener(Notice("warning" if warning else "info", f"{self._plot.data_center}: {text}"))

    def _moved(self, event: Mapping[str, Any]) -> None:
        done, total, speed = (event.get(key) for key in ("bytes_done", "bytes_total", "speed"))
        if isinstance(done, int) and isinstance(total, int) and isinstance(speed, int | float):
            self._listener(Filling(self._plot.data_center, "fetching", done, total, float(speed)))

    def _tell(self, state: str) -> None:
        self._listener(Filling(self._plot.data_center, state, 0, None, 0.0))


def _event(line: str) -> Mapping[str, Any]:
    """The event in a line of a JSON log; nothing for another line."""
    at = line.find(_EVENT)
    try:
        document = json.loads(line[at:]) if at >= 0 else None
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
