"""Pauses that hosts ask for: one wait for all who would ask, read from any answer."""

from __future__ import annotations

import asyncio

import pytest

from prefetch.net.pauses import Pauses, pause_told
from prefetch.net.urls import SecretURL

URL = SecretURL("https://a.test/x")
HOST, OTHER = ("https", "a.test", 443), ("https", "b.test", 443)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def pauses(clock: Clock, *, drawn: float = 0.0) -> Pauses:
    return Pauses(clock=clock, sleep=clock.sleep, uniform=lambda: drawn)


def test_a_host_is_waited_for_and_no_other() -> None:
    clock = Clock()
    told = pauses(clock)
    told.note(HOST, 10.0)
    told.note(HOST, 3.0)
    asyncio.run(told.wait(OTHER))
    assert clock.slept == []
    asyncio.run(told.wait(HOST))
    assert clock.slept == [10.0]
    assert told.left(HOST) == 0.0


@pytest.mark.parametrize(("seconds", "longest"), [(1.0, 1.5), (100.0, 125.0)])
def test_those_who_wait_come_back_at_different_moments(seconds: float, longest: float) -> None:
    clock = Clock()
    told = pauses(clock, drawn=1.0)
    told.note(HOST, seconds)
    asyncio.run(told.wait(HOST))
    assert clock.slept == [longest]


def test_a_pause_that_grows_meanwhile_is_waited_for() -> None:
    clock = Clock()
    told = pauses(clock)
    told.note(HOST, 2.0)

    async def longer(seconds: float) -> None:
        if not clock.slept:
            told.note(HOST, 5.0)
        await clock.sleep(seconds)

    told._sleep = longer
    asyncio.run(told.wait(HOST))
    assert clock.slept == [2.0, 3.0]


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "7"}, 7.0),
        (202, {"Retry-After": "7"}, 0.0),
        (429, {"RateLimit": '"api";r=0;t=55'}, 55.0),
        (200, {"RateLimit": '"api";r=0;t=55'}, 55.0),
        (200, {"RateLimit": '"api";r=1;t=55'}, 0.0),
        (429, {"RateLimit": '"api";r=0;t=5', "Retry-After": "9"}, 9.0),
        (429, {}, 0.0),
        (429, {"RateLimit-Policy": '"api";q=9;w=60'}, 60.0),
        (429, {"RateLimit-Policy": '"api";q=9;w=60', "Retry-After": "2"}, 2.0),
        (200, {"RateLimit-Policy": '"api";q=9;w=60'}, 0.0),
        (503, {"RateLimit-Policy": '"api";q=9;w=60'}, 0.0),
    ],
)
def test_what_an_answer_tells(status: int, headers: dict[str, str], seconds: float) -> None:
    assert pause_told(status, headers, now=0.0) == seconds


@pytest.mark.parametrize("told", [('"a";r=9;t=300', '"a";r=0;t=1'), ('"a";r=0;t=1', '"a";r=9;t=300')])
def test_the_end_of_a_short_window_is_not_that_of_a_long_one(told: tuple[str, str]) -> None:
    clock = Clock()
    limits = pauses(clock)
    for header in told:
        limits.hear(URL, 200, {"RateLimit": header})

    async def ask() -> None:
        async with limits.turn(URL):
            pass

    asyncio.run(ask())
    assert sum(clock.slept) <= 2.0
