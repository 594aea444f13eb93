"""RunPod's API as prefetch speaks it, against a stand-in that holds every word to the published contract."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import AccessError, ContentError, PrefetchError, SourceError, TransientError, UsageError
from prefetch.net.retry import metadata_retrying
from prefetch.runpod.answers import flavors_of, log_line_of, pods_of, volumes_of
from prefetch.runpod.client import RunPod as Client
from prefetch.runpod.client import open_runpod
from prefetch.runpod.events import EventReader, ServerEvent
from prefetch.runpod.problems import Conflict, Forbidden, Gone, NoBalance, Rejected
from tests.support.pods import finishing
from tests.support.runpod import KEY, Flavor, RunPod
from tests.support.runpod_api import running_runpod

T = TypeVar("T")


@pytest.fixture
def runpod(tmp_path: Path) -> Iterator[RunPod]:
    with running_runpod(tmp_path / "volumes") as account:
        yield account


def ask(runpod: RunPod, work: Callable[[Client], Awaitable[T]], *, key: str = KEY, **env: str) -> T:
    environ = {"PREFETCH_RUNPOD_ENDPOINT": runpod.endpoint, "RUNPOD_API_KEY": key, **env}

    async def main() -> T:
        async with open_runpod(environ) as client:
            return await work(client)

    return asyncio.run(main())


def refused(runpod: RunPod, work: Callable[[Client], Awaitable[Any]], **how: Any) -> PrefetchError:
    with pytest.raises(PrefetchError) as caught:
        ask(runpod, work, **how)
    assert "planted" not in str(caught.value)
    return caught.value


def request(runpod: RunPod, **more: Any) -> dict[str, Any]:
    volume = runpod.add_volume("models", size=50, data_center="EU-RO-1")
    return {
        "name": "prefetch-populate-EU-RO-1",
        "image": "you/prefetch",
        "args": "run",
        "cpu": {"id": "cpu3c", "vcpuCount": 2},
        "cloud": "SECURE",
        "dataCenterIds": ["EU-RO-1"],
        "disk": 10,
        "env": {"PREFETCH_INTENT": "abc", "HF_TOKEN": "{{ RUNPOD_SECRET_hf }}"},
        "mounts": {"network": [{"volumeId": volume, "path": "/runpod-volume"}]},
        **more,
    }


def test_a_pod_is_made_seen_stopped_and_removed(runpod: RunPod) -> None:
    async def work(client: Client) -> None:
        made = await client.create_pod(request(runpod))
        assert (made.data_center, made.cost, made.is_over) == ("EU-RO-1", 0.06, False)
        assert made.environment["PREFETCH_INTENT"] == "abc"
        assert "RUNPOD_SECRET" not in repr(made)
        assert [pod.id for pod in await client.pods()] == [made.id]
        await client.act(made.id, "stop")
        assert [(pod.is_over, pod.cost, pod.volume_id) for pod in await client.pods()] == [(True, 0.0, made.volume_id)]
        await client.remove_pod(made.id)
        await client.remove_pod(made.id)
        assert await client.pods() == []

    ask(runpod, work)
    assert runpod.breaches == []


def test_a_volume_is_made_and_found_and_deleted(runpod: RunPod) -> None:
    async def work(client: Client) -> None:
        made = await client.create_volume(name="comfy", size=100, data_center="EU-RO-1")
        assert await client.volumes() == [made]
        assert (made.name, made.size, made.data_center) == ("comfy", 100, "EU-RO-1")
        await client.remove_volume(made.id)
        await client.remove_volume(made.id)
        assert await client.volumes() == []

    ask(runpod, work)
    assert runpod.breaches == []


def test_stock_is_told_by_data_center(runpod: RunPod) -> None:
    runpod.flavors = [Flavor("cpu5c", 0.04, {"EU-RO-1": "NONE", "US-KS-2": "HIGH"}, most=16)]
    (flavor,) = ask(runpod, lambda client: client.flavors(cpus=4))
    assert (flavor.id, flavor.price, flavor.most) == ("cpu5c", 0.04, 16)
    assert flavor.stock == {"EU-RO-1": "NONE", "US-KS-2": "HIGH"}
    assert runpod.breaches == []


def test_a_log_is_read_from_its_beginning_and_taken_up_where_it_was_left(runpod: RunPod) -> None:
    runpod.job = finishing({"ok": True}, before=["one", "two"])

    async def work(client: Client) -> None:
        pod = await client.create_pod(request(runpod))
        cursor, lines = None, []
        async with aclosing(client.logs(pod.id, after=None)) as told:
            async for each in told:
                lines.append(each.line.line)
                cursor = each.cursor
                if each.line.line == "two":
                    break
        async with aclosing(client.logs(pod.id, after=cursor)) as told:
            async for each in told:
                assert each.line.source == "container"
                lines.append(each.line.line)
                if each.line.line == "idle":
                    await client.remove_pod(pod.id)
        assert lines == ["one", "two", 'PREFETCH_RESULT {"ok": true}', "idle"]
        with pytest.raises(Gone):
            await anext(client.logs(pod.id, after=None))

    ask(runpod, work)
    assert runpod.breaches == []


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (400, Rejected, "something is wrong"),
        (401, AccessError, "RUNPOD_API_KEY is not accepted"),
        (402, NoBalance, "add credit"),
        (403, Forbidden, "right to do so"),
        (404, Gone, "another account"),
        (409, Conflict, "console"),
        (418, SourceError, "docs.runpod.io"),
    ],
)
def test_each_refusal_is_an_error_that_says_what_to_do(
    runpod: RunPod, status: int, kind: type[PrefetchError], says: str
) -> None:
    runpod.trouble("POST", "/v2/pods", status=status, detail=f"something is wrong with {KEY} ")
    error = refused(runpod, lambda client: client.create_pod(request(runpod)))
    assert type(error) is kind
    assert says in str(error)
    assert "something is wrong" in error.message
    assert len(runpod.requests("POST", "/v2/pods")) == 1


def test_an_unknown_field_is_refused_with_what_the_contract_says(runpod: RunPod) -> None:
    error = refused(runpod, lambda client: client.create_pod(request(runpod, bogus=1)))
    assert isinstance(error, SourceError)
    assert "'bogus' was unexpected" in error.message
    assert "newer prefetch" in error.remedy
    assert len(runpod.breaches) == 1


def test_questions_are_asked_again_and_a_pod_is_asked_for_once(runpod: RunPod, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("prefetch.runpod.client.metadata_retrying", partial(metadata_retrying, sleep=at_once))
    for status in (429, 503, None):
        runpod.trouble("GET", "/v2/pods", status=status, retry_after=0)
    assert ask(runpod, lambda client: client.pods()) == []
    assert [call.status for call in runpod.requests("GET", "/v2/pods")] == [429, 503, None, 200]
    runpod.trouble("POST", "/v2/pods", status=502)
    error = refused(runpod, lambda client: client.create_pod(request(runpod)))
    assert isinstance(error, TransientError)
    assert runpod.pods == {}
    runpod.trouble("POST", "/v2/pods", effect=True)
    assert isinstance(refused(runpod, lambda client: client.create_pod(request(runpod))), TransientError)
    assert len(runpod.pods) == 1


def test_a_pause_that_is_asked_for_is_kept(runpod: RunPod) -> None:
    runpod.trouble("GET", "/v2/pods", status=429, retry_after=7)
    environ = {"PREFETCH_RUNPOD_ENDPOINT": runpod.endpoint, "RUNPOD_API_KEY": KEY}

    async def main() -> tuple[str, float]:
        told: asyncio.Future[tuple[str, float]] = asyncio.get_running_loop().create_future()

        def retried(error: TransientError, attempt: int, delay: float) -> None:
            told.set_result((error.cause, delay))

        async with open_runpod(environ, on_retry=retried) as client:
            task = asyncio.create_task(client.pods())
            try:
                return await told
            finally:
                task.cancel()

    cause, delay = asyncio.run(main())
    assert cause == "status_429"
    assert 7 <= delay <= 9


def test_the_pods_own_key_may_remove_its_pod_and_no_other(runpod: RunPod) -> None:
    pod, other = runpod.add_pod(name="a"), runpod.add_pod(name="b")
    key = f"rpa_planted0secret0key0of0{pod.id}"
    assert isinstance(refused(runpod, lambda client: client.remove_pod(other.id), key=key), Forbidden)
    assert isinstance(refused(runpod, lambda client: client.act(other.id, "stop"), key=key), Forbidden)
    ask(runpod, lambda client: client.act(pod.id, "stop"), key=key)
    ask(runpod, lambda client: client.remove_pod(pod.id), key=key)
    assert list(runpod.pods) == [other.id]


def test_without_a_key_nobody_is_asked(runpod: RunPod) -> None:
    error = refused(runpod, lambda client: client.pods(), key="")
    assert (error.exit_code, error.message) == (3, "RUNPOD_API_KEY is not set.")
    assert refused(runpod, lambda client: client.pods(), key="wrong").exit_code == 3
    assert [call.status for call in runpod.calls] == [401]


@pytest.mark.parametrize("endpoint", ["http://api.example.com", "ftp://x", "nonsense"])
def test_a_key_goes_to_no_place_that_is_not_safe(runpod: RunPod, endpoint: str) -> None:
    error = refused(runpod, lambda client: client.pods(), PREFETCH_RUNPOD_ENDPOINT=endpoint)
    assert isinstance(error, UsageError)
    assert "PREFETCH_RUNPOD_ENDPOINT" in error.message


@pytest.mark.parametrize("read", [pods_of, volumes_of, flavors_of])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"pods": 1}', b"<html>", b'{"pods": [{"id": 1}]}', b"[" * 9999])
def test_an_answer_that_is_none_is_an_error(read: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(ContentError, match="RunPod's API"):
        read(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["pods", "id", "env", "line"]), x),
    )
)
def test_whatever_is_answered_is_an_error_or_a_value(document: Any) -> None:
    text = json.dumps({"pods": [document]})
    log_line_of(text)
    with pytest.raises(ContentError):
        pods_of(text.encode())


@given(st.lists(st.tuples(st.text("ab:z", min_size=1), st.text("xyz: \u00e4")), max_size=5), st.integers(1, 7))
def test_events_come_whole_however_they_are_cut(events: list[tuple[str, str]], step: int) -> None:
    data = "".join(f": hello\r\nid: {cursor}\ndata: {text}\n\n" for cursor, text in events).encode()
    reader = EventReader()
    found = [event for at in range(0, len(data), step) for event in reader.feed(data[at : at + step])]
    assert found == [ServerEvent(cursor, text) for cursor, text in events]
