"""Never two pods or two volumes for one intent: the steps by themselves, without waiting for real."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest

from prefetch.errors import PrefetchError, TransientError, UsageError
from prefetch.net.retry import metadata_retrying
from prefetch.runpod.client import RunPod as Client
from prefetch.runpod.client import open_runpod
from prefetch.runpod.following import Following, PodLost
from prefetch.runpod.intent import PodRequest
from prefetch.runpod.signs import INTENT
from prefetch.runpod.single import one_pod, one_volume, remove_all
from tests.support.pods import finishing, silent
from tests.support.runpod import KEY, RunPod

T = TypeVar("T")


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


async def sooner(seconds: float) -> None:
    await asyncio.sleep(seconds / 4)


def told(error: TransientError, attempt: int, delay: float) -> None:
    assert delay >= 0


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions that are asked again at once, and pods that are over given up at once."""
    monkeypatch.setattr("prefetch.runpod.following._LAST_WORDS", 0.1)
    monkeypatch.setattr("prefetch.runpod.client.metadata_retrying", partial(metadata_retrying, sleep=at_once))


def ask(runpod: RunPod, work: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        environ = {"PREFETCH_RUNPOD_ENDPOINT": runpod.endpoint, "RUNPOD_API_KEY": KEY}
        async with open_runpod(environ) as client:
            return await work(client)

    return asyncio.run(main())


def request(runpod: RunPod) -> PodRequest:
    volume = runpod.add_volume("models", size=50, data_center="EU-RO-1")
    return PodRequest("EU-RO-1", volume, "you/prefetch", "run", {"A": "b"}, cpus=2)


UNCLEAR = [(status, effect) for status in (500, 503, None) for effect in (True, False)]


@pytest.mark.parametrize(("status", "effect"), UNCLEAR)
@pytest.mark.parametrize("times", [1, 3])
def test_one_pod_whatever_the_answer(runpod: RunPod, status: int | None, effect: bool, times: int) -> None:
    wanted = request(runpod)
    runpod.trouble("POST", "/v2/pods", status=status, effect=effect, times=times)
    pod = ask(runpod, lambda api: one_pod(api, wanted, ["cpu3c"], on_retry=told, sleep=at_once))
    assert list(runpod.pods) == [pod.id]
    assert len(runpod.ever) == 1


@pytest.mark.parametrize(("status", "effect"), UNCLEAR)
def test_one_volume_whatever_the_answer(runpod: RunPod, status: int | None, effect: bool) -> None:
    runpod.trouble("POST", "/v2/network-volumes", status=status, effect=effect)

    async def work(api: Client) -> str:
        made, _ = await one_volume(api, name="comfy", size=20, data_center="EU-RO-1", on_retry=told, sleep=at_once)
        return made.id

    made = ask(runpod, work)
    assert list(runpod.volumes) == [made]


def test_an_api_that_stays_broken_is_given_up(runpod: RunPod) -> None:
    wanted = request(runpod)
    runpod.trouble("POST", "/v2/pods", status=502, times=None)
    with pytest.raises(TransientError, match="502"):
        ask(runpod, lambda api: one_pod(api, wanted, ["cpu3c"], on_retry=told, sleep=at_once))
    assert len(runpod.requests("POST", "/v2/pods")) == 8


def test_the_oldest_pod_of_an_intent_stays_and_others_are_left_alone(runpod: RunPod) -> None:
    wanted = request(runpod)
    env = {INTENT: wanted.intent}
    young, old = runpod.add_pod(name="x", env=env, age=1), runpod.add_pod(name="y", env=env, age=9)
    other = runpod.add_pod(name="z", env={INTENT: replace(wanted, image="other").intent}, age=99)
    pod = ask(runpod, lambda api: one_pod(api, wanted, ["cpu3c"], on_retry=told, sleep=at_once))
    assert pod.id == old.id
    assert set(runpod.pods) == {old.id, other.id}
    assert young.stopped.is_set()
    ask(runpod, lambda api: remove_all(api, wanted.intent, sleep=at_once))
    assert set(runpod.pods) == {other.id}


def test_many_who_want_the_same_come_to_one_pod_and_one_volume(runpod: RunPod) -> None:
    async def want(api: Client) -> tuple[str, str]:
        volume, _ = await one_volume(api, name="comfy", size=20, data_center="EU-RO-1", on_retry=told, sleep=sooner)
        wanted = PodRequest("EU-RO-1", volume.id, "you/prefetch", "run", {}, cpus=2)
        await one_pod(api, wanted, ["cpu3c"], on_retry=told)
        return volume.id, wanted.intent

    async def work(api: Client) -> set[tuple[str, str]]:
        return set(await asyncio.gather(*(want(api) for _ in range(3))))

    ((volume, _),) = ask(runpod, work)
    assert list(runpod.volumes) == [volume]
    assert len(runpod.pods) == 1


def test_an_api_that_is_away_for_a_while_ends_nothing(runpod: RunPod, impatient: None) -> None:
    runpod.job = finishing({"exit_code": 0}, before=["working"])
    wanted = request(runpod)

    async def work(api: Client) -> Mapping[str, Any]:
        pod = await one_pod(api, wanted, ["cpu3c"], on_retry=told)
        # More than a question is asked again, and no log meanwhile.
        runpod.trouble("GET", "/v2/pods", status=503, times=16, retry_after=0)
        runpod.trouble("GET", "/v2/pods/*/logs", times=3)
        result = await Following(api, pod, wanted.intent, heard=lambda line: None).result()
        runpod.trouble("DELETE", "/v2/pods/*", status=500, times=10)
        await remove_all(api, wanted.intent, sleep=at_once)
        return result

    assert ask(runpod, work) == {"exit_code": 0}
    assert runpod.pods == {}


def test_a_pod_that_says_nothing_is_given_up(runpod: RunPod, impatient: None) -> None:
    runpod.job = silent
    wanted = request(runpod)

    async def work(api: Client) -> None:
        pod = await one_pod(api, wanted, ["cpu3c"], on_retry=told)
        await Following(api, pod, wanted.intent, heard=lambda line: None, start=0.5).result()

    with pytest.raises(PodLost, match="is STARTING and has said nothing"):
        ask(runpod, work)


def test_a_pod_that_stops_without_a_result_is_given_up(runpod: RunPod, impatient: None) -> None:
    runpod.job = lambda container: container.pod.stop("EXITED")
    wanted = request(runpod)

    async def work(api: Client) -> None:
        pod = await one_pod(api, wanted, ["cpu3c"], on_retry=told)
        await Following(api, pod, wanted.intent, heard=lambda line: None).result()

    with pytest.raises(PodLost, match="is EXITED, and its job has told no result"):
        ask(runpod, work)


def test_a_pod_that_talks_for_ever_is_given_up(runpod: RunPod, impatient: None) -> None:
    wanted = request(runpod)
    hours = itertools.count(0, 4)

    async def work(api: Client) -> None:
        pod = await one_pod(api, wanted, ["cpu3c"], on_retry=told)
        await Following(
            api, pod, wanted.intent, heard=lambda line: None, hours=6, clock=lambda: next(hours) * 3600.0
        ).result()

    with pytest.raises(PodLost, match="has told no result in 6 hours"):
        ask(runpod, work)


def test_a_volume_that_its_maker_takes_away_again_is_not_relied_on(runpod: RunPod) -> None:
    theirs = runpod.add_volume("comfy", size=20, data_center="EU-RO-1")

    async def taken_away(seconds: float) -> None:
        runpod.volumes.pop(theirs, None)

    async def work(api: Client) -> str:
        made, new = await one_volume(api, name="comfy", size=20, data_center="EU-RO-1", on_retry=told, sleep=taken_away)
        assert new
        return made.id

    assert ask(runpod, work) != theirs


def test_a_pod_that_does_not_go_is_an_error_that_names_it(runpod: RunPod) -> None:
    wanted = request(runpod)
    runpod.add_pod(name="x", env={INTENT: wanted.intent})
    runpod.trouble("DELETE", "/v2/pods/*", status=404, times=None)
    with pytest.raises(PrefetchError, match="does not remove the pod of this populate") as caught:
        ask(runpod, lambda api: remove_all(api, wanted.intent, sleep=at_once))
    assert "prefetch runpod clean" in str(caught.value)


def test_two_volumes_of_one_name_are_for_a_person_to_choose_from(runpod: RunPod) -> None:
    for _ in range(2):
        runpod.add_volume("comfy", size=20, data_center="EU-RO-1")
    with pytest.raises(UsageError, match="EU-RO-1 has 2 volumes named comfy"):
        ask(
            runpod,
            lambda api: one_volume(api, name="comfy", size=20, data_center="EU-RO-1", on_retry=told, sleep=at_once),
        )
