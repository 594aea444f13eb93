"""Following a pod to its job's result: its log as it comes, its status in between, and the moment it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from prefetch.errors import PrefetchError, SourceError, TransientError
from prefetch.runpod.answers import LogLine, Pod
from prefetch.runpod.client import RunPod
from prefetch.runpod.problems import Gone
from prefetch.runpod.signs import result_in
from prefetch.runpod.single import oldest

__all__ = ["Following", "Heard", "PodLost"]

Heard = Callable[[LogLine], None]

_FIRST_LOOK, _LOOKS = 1.0, 10.0  # seconds between two looks at the pods, growing from the first to the second
_LAST_WORDS = 2.0  # seconds for the rest of a log whose pod is over
_START = 900.0  # seconds in which a pod's program has to say something
_OUTAGE = 600.0  # seconds without an answer of RunPod's
_MARGIN = 300.0  # seconds for a job whose own bound is over to say so
_AGAIN = 1.0


class PodLost(PrefetchError):
    """The pod is gone, or never began, and its job has told no result."""


class Following:
    """One pod, from its creation to its job's result.

    Args:
        heard: told of every line of the log but the result.
        hours: after which there has to be a result.
        start: seconds in which the pod's program has to say something.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        api: RunPod,
        pod: Pod,
        intent: str,
        *,
        heard: Heard,
        hours: float = 24.0,
        start: float = _START,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._pod = pod
        self._intent = intent
        self._heard = heard
        self._hours = hours
        self._start = start
        self._clock = clock
        self._began = self._seen = clock()
        self._spoken = False
        self.status: str = pod.status

    async def result(self) -> Mapping[str, Any]:
        """The document that the job ends with.

        Raises:
            PodLost: there will be none.
            AccessError, SourceError, TransientError: RunPod refuses, or does not answer.
        """
        log = asyncio.create_task(self._read_log())
        try:
            pause = _FIRST_LOOK
            while not await _is_done(log, pause):
                pause = min(pause * 1.5, _LOOKS)
                if (lost := await self._look()) is not None and not await _is_done(log, _LAST_WORDS):
                    raise lost
            found = log.result()
        finally:
            log.cancel()
            await asyncio.wait({log})
        if found is None:
            raise self._gone()
        return found

    async def _look(self) -> PodLost | None:
        """Why no result is to be waited for any more; None where it is."""
        try:
            pod = await oldest(self._api, self._intent)
        except TransientError:
            # A network that is away for a while is no reason to give up a pod that is at work.
            if self._clock() - self._seen > _OUTAGE:
                raise
            return None
        self._seen = self._clock()
        if pod is None:
            return self._gone()
        self.status = pod.status
        if pod.is_over:
            return PodLost(
                f"The pod {pod.id} in {self._place} is {pod.status}, and its job has told no result.",
                remedy="Run the same command again: what is on the volume already is not fetched again.",
            )
        if not self._spoken and self._clock() - self._began > self._start:
            return PodLost(
                f"The pod {pod.id} in {self._place} is {pod.status} and has said nothing for {self._start:.0f} s.",
                remedy="Mostly its image cannot be pulled: check --image, and --registry for a private one.",
            )
        if self._clock() - self._began > self._hours * 3600 + _MARGIN:
            return PodLost(
                f"The pod {pod.id} in {self._place} has told no result in {self._hours:g} hours.",
                remedy="See its log in RunPod's console: --image may be none of prefetch. Or allow more --max-hours.",
            )
        return None

    async def _read_log(self) -> Mapping[str, Any] | None:
        """The result, or None when the pod is gone."""
        cursor: str | None = None
        while True:
            try:
                async with aclosing(self._api.logs(self._pod.id, after=cursor)) as told:
                    async for each in told:
                        cursor = each.cursor or cursor
                        if (found := self._take(each.line)) is not None:
                            return found
            except Gone:
                return None
            except TransientError:
                pass
            except SourceError:
                # A place in the log that RunPod does not know any more: from its beginning then.
                if cursor is None:
                    raise
                cursor = None
            await asyncio.sleep(_AGAIN)

    def _take(self, line: LogLine) -> Mapping[str, Any] | None:
        if line.source != "system":
            self._spoken = True
        if (found := result_in(line.line)) is not None:
            return found
        self._heard(line)
        return None

    def _gone(self) -> PodLost:
        return PodLost(
            f"The pod {self._pod.id} in {self._place} is gone, and its job's result was not seen.",
            remedy="Run the same command again: what is on the volume already is not fetched again.",
        )

    @property
    def _place(self) -> str:
        return self._pod.data_center or "RunPod"


async def _is_done(task: asyncio.Task[Any], seconds: float) -> bool:
    await asyncio.wait({task}, timeout=seconds)
    return task.done()
