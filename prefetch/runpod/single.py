"""Never two pods or two volumes for one intent, though RunPod's API cannot promise it.

What is there is listed before each creation, after each answer that leaves open whether it had an effect, and after
each that leaves nothing open, for another process may have been as fast. Of two pods the older stays. A volume does not
tell its age: whoever sees another one right after making his own removes his own again. So a volume that was not there
a moment ago is relied on only when it is still there some seconds later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from prefetch.errors import PrefetchError, SourceError, TransientError, UsageError
from prefetch.net.retry import FullJitter, RetryListener
from prefetch.runpod.answers import Pod, Volume
from prefetch.runpod.client import RunPod
from prefetch.runpod.intent import PodRequest, marked
from prefetch.runpod.problems import Forbidden, Rejected

__all__ = ["NoCapacity", "Sleep", "named", "oldest", "one_pod", "one_volume", "remove_all"]

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_TRIES = 8
_REMOVALS = 12
_WAIT = FullJitter(base=1.0, overload_base=2.0, cap=20.0)
_SETTLING = 4.0  # seconds in which whoever made the same volume has looked around, and taken it away or not


class NoCapacity(SourceError):
    """Every kind of pod that was in stock was refused."""


async def one_pod(
    api: RunPod,
    request: PodRequest,
    flavors: Sequence[str],
    *,
    on_retry: RetryListener,
    sleep: Sleep = asyncio.sleep,
) -> Pod:
    """The pod of this intent: the one that is there, or a new one of the first flavor that RunPod has.

    A creation that is on its way when the task is cancelled is waited for, so that whoever cleans up finds the pod.

    Raises:
        NoCapacity: every flavor was refused (400, or 403 for some of them).
        AccessError, SourceError, TransientError: RunPod refuses, or does not answer.
    """
    refusals: list[PrefetchError] = []
    for flavor in flavors:
        try:
            return await _placed(api, request.of(flavor), on_retry=on_retry, sleep=sleep)
        except (Rejected, Forbidden) as refusal:
            refusals.append(refusal)
    if all(isinstance(refusal, Forbidden) for refusal in refusals):
        raise refusals[-1]
    raise _none_placed(request.data_center, flavors, refusals)


async def _placed(api: RunPod, request: PodRequest, *, on_retry: RetryListener, sleep: Sleep) -> Pod:
    for attempt in range(1, _TRIES + 1):
        if (pod := await oldest(api, request.intent)) is not None:
            return pod
        try:
            made = await _seen_through(api.create_pod(request.document()))
        except TransientError as error:
            await _pause(error, attempt, on_retry=on_retry, sleep=sleep)
        else:
            # Another process of the same intent, or a request of ours that was given up, may have made one too.
            return await oldest(api, request.intent) or made
    raise AssertionError("the last try returns or raises")


async def _pause(error: TransientError, attempt: int, *, on_retry: RetryListener, sleep: Sleep) -> None:
    if attempt == _TRIES:
        raise error
    delay = _WAIT.delay(error, attempt)
    on_retry(error, attempt, delay)
    await sleep(delay)


async def oldest(api: RunPod, intent: str) -> Pod | None:
    """The oldest pod of an intent, and the younger ones removed."""
    pods = marked(await api.pods(), intent)
    for younger in pods[1:]:
        await api.remove_pod(younger.id)
    return pods[0] if pods else None


async def remove_all(api: RunPod, intent: str, *, sleep: Sleep = asyncio.sleep) -> None:
    """Remove every pod of an intent, and look until there is none, through minutes of an API that does not answer.

    Raises:
        PrefetchError: they are still there.
    """
    why = "it is there again and again"
    for attempt in range(_REMOVALS):
        try:
            pods = marked(await api.pods(), intent)
            if not pods:
                return
            for pod in pods:
                await api.remove_pod(pod.id)
        except TransientError as error:
            why = error.message.rstrip(".")
        await sleep(min(0.1 * 2**attempt, 10.0))
    raise PrefetchError(
        f"RunPod does not remove the pod of this populate, which is billed as long as it is there: {why}.",
        remedy="Run: prefetch runpod clean",
    )


async def one_volume(
    api: RunPod,
    *,
    name: str,
    size: int,
    data_center: str,
    on_retry: RetryListener,
    sleep: Sleep = asyncio.sleep,
) -> tuple[Volume, bool]:
    """The volume of this name in this data center, and whether it was made just now.

    Raises:
        UsageError: there are several of this name.
        AccessError, SourceError, TransientError: RunPod refuses, or does not answer.
    """
    for attempt in range(1, _TRIES + 1):
        if (found := await _settled(api, name, data_center, sleep)) is not None:
            return found, False
        began = time.monotonic()
        try:
            made = await _seen_through(api.create_volume(name=name, size=size, data_center=data_center))
        except TransientError as error:
            await _pause(error, attempt, on_retry=on_retry, sleep=sleep)
            continue
        there = _of_name(await api.volumes(), name, data_center)
        if len(there) <= 1:
            return made, True
        if time.monotonic() - began > _SETTLING / 2:
            # Somebody may rely on ours by now.
            raise _several(there)
        await api.remove_volume(made.id)
        await sleep(_WAIT.uniform() * _SETTLING)
    raise TransientError(f"Others make volumes named {name} in {data_center} all the time.", cause="busy")


async def _settled(api: RunPod, name: str, data_center: str, sleep: Sleep) -> Volume | None:
    """The volume of this name, once nobody is about to take it away again; None where there is none."""
    there = _of_name(await api.volumes(), name, data_center)
    for _ in range(_TRIES):
        if not there:
            return None
        before = there
        await sleep(_SETTLING)
        there = _of_name(await api.volumes(), name, data_center)
        if there == before:
            break
    return named(there, name, data_center)


def named(volumes: Sequence[Volume], name: str, data_center: str) -> Volume | None:
    """The volume of this name in this data center.

    Raises:
        UsageError: there are several.
    """
    found = _of_name(volumes, name, data_center)
    if len(found) > 1:
        raise _several(found)
    return found[0] if found else None


def _of_name(volumes: Sequence[Volume], name: str, data_center: str) -> list[Volume]:
    return [volume for volume in volumes if volume.name == name and volume.data_center == data_center]


def _several(found: Sequence[Volume]) -> UsageError:
    name, center = found[0].name, found[0].data_center
    return UsageError(
        f"{center} has {len(found)} volumes named {name}: {', '.join(volume.id for volume in found)}.",
        remedy=f"Say which one: --volume-id {center}={found[0].id}",
    )


async def _seen_through(request: Awaitable[T]) -> T:
    """Wait for a request that has an effect, even when cancelled: what it made has to be known."""
    task = asyncio.ensure_future(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(PrefetchError):
            await task
        raise


def _none_placed(data_center: str, flavors: Sequence[str], refusals: Sequence[PrefetchError]) -> NoCapacity:
    last = refusals[-1].message.rstrip(".")
    return NoCapacity(
        f"RunPod has no CPU pod for {data_center} now: {', '.join(flavors)} were refused; the last with: {last}.",
        remedy="Try again later. If the last words are not about capacity, it is the request that is refused.",
    )
