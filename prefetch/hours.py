"""The time of a pod's one-shot job: when it began, over restarts of its container, and when it has to be over."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from prefetch.commands.table import Outcome
from prefetch.errors import Interrupted, PrefetchError
from prefetch.opening import open_volume
from prefetch.report.result import RunResult
from prefetch.settings import Settings
from prefetch.volume.jobs import PodJob, read_job, write_job

__all__ = ["Hours"]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours that a job has taken and may take, from its beginning, which restarts of its container do not move.

    Attributes:
        settings: also tell how many hours it may take, and the volume.
        name: of the pod, for its record.
        began_ms: when it began, in milliseconds since 1970.
        deadline: when it is over, on the monotonic clock; None where it may take for ever.
    """

    settings: Settings
    name: str
    began_ms: int
    deadline: float | None

    @classmethod
    def of(cls, settings: Settings, name: str) -> Hours:
        """The bound of a job that begins now, or that an earlier container of this pod has begun and not ended."""
        began = now = _now_ms()
        if settings.max_hours is None:
            return cls(settings, name, now, None)
        # Without a volume there is nothing to go by, and the work itself will say so.
        with suppress(PrefetchError):
            earlier = read_job(open_volume(settings), name)
            if earlier is not None and earlier.ended_ms is None:
                began = min(earlier.began_ms, now)
            else:
                _keep(settings, PodJob(name, now))
        spent = (now - began) / 1000
        return cls(settings, name, began, time.monotonic() + settings.max_hours * _HOUR - spent)

    def left(self) -> float | None:
        """Seconds until the end, 0 where it is past."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def do(self, work: Callable[[], Outcome]) -> Outcome:
        """Do the work, stopped in order where the hours are over."""
        left = self.left()
        if left is None:
            return work()
        if left == 0:
            return self._late(RunResult(0, None, 0.0))
        over = threading.Event()
        timer = threading.Timer(left, _stop, (over,))
        timer.daemon = True
        timer.start()
        try:
            outcome = work()
        finally:
            timer.cancel()
        stopped = over.is_set() and outcome.exit_code == Interrupted.exit_code
        return self._late(outcome) if stopped and isinstance(outcome, RunResult) else outcome

    def end(self, then: str, result: Mapping[str, Any]) -> None:
        """Keep on the volume what the job came to. Raises an error of ours if the volume refuses."""
        _keep(self.settings, PodJob(self.name, self.began_ms, _now_ms(), then, result))

    def _late(self, result: RunResult) -> RunResult:
        hours = self.settings.max_hours
        error = PrefetchError(
            f"The models were not there within --max-hours {hours:g}; what came is kept.",
            remedy="Run the same command again to go on, or allow more hours.",
        )
        return replace(result, exit_code=error.exit_code, error=error)


def _stop(over: threading.Event) -> None:
    over.set()
    # The way that stops every kind of work in order: what is fetched is kept.
    os.kill(os.getpid(), signal.SIGTERM)


def _keep(settings: Settings, job: PodJob) -> None:
    write_job(open_volume(settings), job)


def _now_ms() -> int:
    return round(time.time() * 1000)
