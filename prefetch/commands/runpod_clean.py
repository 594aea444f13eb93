"""``prefetch runpod clean``: the pods that a populate has left, listed, and removed if that is wanted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from prefetch.asking import agreed, can_be_asked
from prefetch.errors import PrefetchError
from prefetch.report import humanize
from prefetch.report.events import Listener
from prefetch.report.result import RunResult
from prefetch.report.writer import LineWriter
from prefetch.runpod.answers import Pod
from prefetch.runpod.client import open_runpod
from prefetch.runpod.intent import NAME, is_marked
from prefetch.runpod.prices import dollars
from prefetch.settings import Settings
from prefetch.signals import run_until_signal
from prefetch.telling import tell_retries

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """A row, and an object of the document's ``pods``, for each pod that was found; ``errors`` by the pod's id."""

    pods: Sequence[Pod]
    removed: bool
    errors: dict[str, PrefetchError]
    seconds: float

    @property
    def error(self) -> PrefetchError | None:
        return next(iter(self.errors.values()), None)

    @property
    def exit_code(self) -> int:
        return 0 if self.error is None else self.error.exit_code

    @property
    def text(self) -> str:
        if not self.pods:
            return "no pod of prefetch runpod populate is there"
        rows = [f"{self._status(pod):<9}  {_described(pod)}" for pod in self.pods]
        hint = ["add --yes to remove those that are removable"] if any(self._is_left(pod) for pod in self.pods) else []
        return "\n".join([*rows, *hint])

    def to_json(self) -> str:
        """The document."""
        pods = [
            {
                "id": pod.id,
                "name": pod.name,
                "status": self._status(pod),
                "pod_status": pod.status,
                "data_center": pod.data_center,
                "volume_id": pod.volume_id,
                "dollars_an_hour": pod.cost,
                "created": pod.created.isoformat(),
            }
            for pod in self.pods
        ]
        return RunResult(self.exit_code, None, self.seconds, error=self.error, more={"pods": pods}).to_json()

    def _status(self, pod: Pod) -> str:
        if not is_marked(pod):
            return "kept"
        if pod.id in self.errors:
            return "failed"
        return "removed" if self.removed else "removable"

    def _is_left(self, pod: Pod) -> bool:
        return self._status(pod) == "removable"


def main(settings: Settings, listener: Listener) -> _Cleaned:
    """List the pods; remove those that carry our mark, if that is said beforehand or when asked."""
    began = time.monotonic()
    pods = run_until_signal(lambda: _found(listener))
    ours = [pod for pod in pods if is_marked(pod)]
    if not ours or not (settings.yes or _wants(pods, ours)):
        return _Cleaned(pods, False, {}, time.monotonic() - began)
    errors = run_until_signal(lambda: _remove(ours, listener))
    return _Cleaned(pods, True, errors, time.monotonic() - began)


async def _found(listener: Listener) -> list[Pod]:
    async with open_runpod(os.environ, on_retry=tell_retries(listener)) as api:
        pods = await api.pods()
    ours = [pod for pod in pods if is_marked(pod) or pod.name.startswith(NAME)]
    return sorted((pod for pod in ours if pod.status != "TERMINATED"), key=lambda pod: pod.created)


async def _remove(pods: Sequence[Pod], listener: Listener) -> dict[str, PrefetchError]:
    errors = {}
    async with open_runpod(os.environ, on_retry=tell_retries(listener)) as api:
        for pod in pods:
            try:
                await api.remove_pod(pod.id)
            except PrefetchError as error:
                errors[pod.id] = error
    return errors


def _wants(pods: Sequence[Pod], ours: Sequence[Pod]) -> bool:
    if not can_be_asked():
        return False
    writer = LineWriter(sys.stderr)
    for pod in pods:
        writer.write(_described(pod))
    return agreed(f"Remove {humanize.count(len(ours), 'pod')}?")


def _described(pod: Pod) -> str:
    age = humanize.duration(max(0.0, time.time() - pod.created.timestamp()))
    kept = "" if is_marked(pod) else "; without our mark, so it may be yours: remove it in RunPod's console"
    text = (
        f"{pod.id} {pod.name} in {pod.data_center or '?'}: {pod.status}, {age} old, {dollars(pod.cost)} an hour{kept}"
    )
    return humanize.printable(text)
