"""Limits on requests that hosts tell with their answers: kept to, so that nobody is refused."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest

from prefetch.demo.actions import TooMany
from prefetch.demo.content import BytesFile
from prefetch.demo.faults import Fault
from prefetch.demo.messages import Reply, Request
from prefetch.demo.repo import Repo
from prefetch.demo.server import running_origin
from prefetch.net.headers import RequestsLeft, requests_left
from prefetch.net.pauses import Pauses
from prefetch.net.urls import SecretURL
from tests.support.commands import Commands
from tests.support.models import write_manifest

FILES, API = SecretURL("https://h.test/a/b/resolve/main/c"), SecretURL("https://h.test/api/models/a/b")
POLICY = '"fixed window";"resolvers";q=4;w=300'


@pytest.mark.parametrize(
    ("limit", "policy", "told"),
    [
        ("", "", None),
        ('"resolvers";r=3;t=12', "", RequestsLeft(3, 12.0)),
        ('"resolvers";r=3;t=12', POLICY, RequestsLeft(3, 12.0, 4, 300)),
        ('"resolvers";r=3', POLICY, RequestsLeft(3, 300.0, 4, 300)),
        ('"resolvers";r=3', "", None),
        ('"a";r=3;t=12, "b";r=2;t=900', "", RequestsLeft(2, 900.0)),
        ('"a";r=3;t=12', '"a";q=900;w=60;qu="content-bytes"', None),
        ('"a";r=3;t=12', '"a";q=9;w=60;qu="requests"', RequestsLeft(3, 12.0, 9, 60)),
    ],
)
def test_what_a_host_tells(limit: str, policy: str, told: RequestsLeft | None) -> None:
    assert requests_left({"RateLimit": limit, "RateLimit-Policy": policy}) == told


class Story:
    """Requests one after another or at once, in time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses = Pauses(clock=lambda: self.now, sleep=self.sleep, uniform=lambda: 0.0)

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)

    async def ask(self, url: SecretURL = FILES, told: str = "", policy: str = POLICY) -> float:
        """Ask once; when it was sent."""
        async with self.pauses.turn(url):
            sent = self.now
            await asyncio.sleep(0)
            self.pauses.hear(url, 200, {"RateLimit": told, "RateLimit-Policy": policy})
        return sent


def test_no_more_are_sent_than_are_left_until_the_window_ends() -> None:
    async def work() -> list[float]:
        story = Story()
        await story.ask(told='"resolvers";r=2;t=10')
        # Each of them is told what was left after it.
        return [await story.ask(told=f'"resolvers";r={left};t=10') for left in (1, 0, 3, 2)]

    assert asyncio.run(work()) == [0.0, 0.0, 10.0, 10.0]


def test_those_under_way_count_and_make_room_when_they_are_answered() -> None:
    async def work() -> list[float]:
        story = Story()
        await story.ask(told='"resolvers";r=3;t=100')
        return await asyncio.gather(*(story.ask(told='"resolvers";r=3;t=100') for _ in range(5)))

    sent = asyncio.run(work())
    assert sent[:3] == [0.0] * 3
    assert all(0.0 < moment < 5.0 for moment in sent[3:])


def test_a_new_window_begins_with_what_the_policy_says() -> None:
    async def work() -> list[float]:
        story = Story()
        await story.ask(told='"resolvers";r=0;t=10')
        return await asyncio.gather(*(story.ask() for _ in range(6)))

    sent = asyncio.run(work())
    assert sent[:4] == [10.0] * 4
    assert min(sent[4:]) > 10.0


def test_what_is_told_of_the_api_is_not_said_of_files_nor_of_other_hosts() -> None:
    async def work() -> list[float]:
        story = Story()
        await story.ask(API, told='"api";r=1;t=50', policy="")
        other = SecretURL("https://other.test/api/x")
        async with story.pauses.turn(API):
            return [await story.ask(FILES), await story.ask(other), await story.ask(API)]

    assert asyncio.run(work()) == [0.0, 0.0, 50.0]


def test_who_reads_a_file_can_see_beforehand_that_there_is_no_room() -> None:
    async def work() -> list[float]:
        story = Story()
        host, seen = FILES.origin, [story.pauses.left_for_files(FILES.origin)]
        await story.ask(told='"resolvers";r=1;t=30')
        seen.append(story.pauses.left_for_files(host))
        async with story.pauses.turn(FILES):
            seen.append(story.pauses.left_for_files(host))
        return seen

    assert asyncio.run(work()) == [0.0, 0.0, 30.0]


def test_answers_that_overtake_each_other_give_nothing_back() -> None:
    async def work() -> float:
        story = Story()
        await story.ask(told='"resolvers";r=0;t=10')
        story.pauses.hear(FILES, 200, {"RateLimit": '"resolvers";r=5;t=10'})
        return await story.ask()

    assert asyncio.run(work()) == 10.0


class Window:
    """Answers so many requests in two seconds, tells with each how many are left, and refuses the others."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.refused = 0
        self._left, self._ends = quota, 0.0
        self._lock = Lock()

    def __call__(self, request: Request, reply: Reply) -> Reply:
        with self._lock:
            now = time.monotonic()
            if now >= self._ends:
                self._left, self._ends = self.quota, now + 2
            self._left -= 1
            left = self._left
            self.refused += left < 0
        if left < 0:
            return TooMany(2)(request, reply)
        told = {"RateLimit": f'"resolvers";r={left};t=3', "RateLimit-Policy": f'"resolvers";q={self.quota};w=2'}
        return replace(reply, headers={**reply.headers, **told})


def test_a_hub_that_tells_what_is_left_refuses_nobody(commands: Commands, tmp_path: Path) -> None:
    repos = [Repo(id=f"acme/r{number}", files={"f.bin": BytesFile(b"x" * 99)}) for number in range(40)]
    models = [{"path": f"models/{n}.bin", "source": f"hf://acme/r{n}/f.bin"} for n in range(40)]
    window = Window(20)
    with running_origin(repos=repos, faults=[Fault(do=window, server="hub", method="*", times=None)]) as origin:
        manifest = write_manifest(tmp_path / "m.yaml", models)
        outcome = commands.run("lock", manifest, "--json", env={"HF_ENDPOINT": origin.endpoint})
        asked = len(origin.requests)
    assert outcome.returncode == 0, outcome.stderr
    assert window.refused == 0
    assert asked == 40
