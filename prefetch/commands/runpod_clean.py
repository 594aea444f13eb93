"""``prefetch runpod clean``: the pods that a populate has left, listed, and removed if that is wanted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Sequence

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


def main(settings: Settings, listener: Listener) -> RunResult:
    """List the pods; remove those that carry our mark, if that is said beforehand or when asked."""
    began = time.monotonic()
    pods = run_until_signal(lambda: _found(listener))
    ours = [pod for pod in pods if is_marked(pod)]
    wanted = bool(ours) and (settings.yes or _wants(pods, ours))
    errors = run_until_signal(lambda: _remove(ours, listener)) if wanted else {}
    rows = [(_status(pod, removed=wanted, errors=errors), pod) for pod in pods]
    error = next(iter(errors.values()), None)
    return RunResult(
        exit_code=0 if error is None else error.exit_code,
        volume=None,
        seconds=time.monotonic() - began,
        error=error,
        text=_table(rows),
        more={"pods": [_document(status, pod) for status, pod in rows]},
    )


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


def _status(pod: Pod, *, removed: bool, errors: Collection[str]) -> str:
    if not is_marked(pod):
        return "kept"
    if pod.id in errors:
        return "failed"
    return "removed" if removed else "removable"


def _table(rows: Sequence[tuple[str, Pod]]) -> str:
    if not rows:
        return "no pod of prefetch runpod populate is there"
    lines = [f"{status:<9}  {_described(pod)}" for status, pod in rows]
    is_left = any(status == "removable" for status, _ in rows)
    return "\n".join([*lines, *(["add --yes to remove those that are removable"] if is_left else [])])


def _document(status: str, pod: Pod) -> dict[str, object]:
    return {
        "id": pod.id,
        "name": pod.name,
        "status": status,
        "pod_status": pod.status,
        "data_center": pod.data_center,
        "volume_id": pod.volume_id,
        "dollars_an_hour": pod.cost,
        "created": pod.created.isoformat(),
    }
