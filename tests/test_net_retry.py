from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.errors import PatienceError, SourceError, TransientError
from prefetch.net.bounds import PATIENCE
from prefetch.net.retry import FullJitter, Outage, metadata_retrying


@pytest.mark.parametrize(
    ("cause", "floor", "attempt", "shortest", "longest"),
    [
        ("reset", 0, 1, 0, 1),
        ("reset", 0, 2, 0, 2),
        ("reset", 0, 5, 0, 16),
        ("reset", 0, 7, 0, 60),
        ("reset", 0, 5000, 0, 60),
        ("reset", 30, 1, 30, 31),
        ("status_500", 0, 1, 0, 1),
        ("status_429", 0, 1, 0, 5),
        ("status_503", 0, 2, 0, 10),
        ("status_429", 123, 9, 123, 183),
    ],
)
def test_the_window_of_a_delay(cause: str, floor: float, attempt: int, shortest: float, longest: float) -> None:
    error = TransientError("x", cause=cause, floor=floor)
    assert FullJitter(uniform=lambda: 0.0).delay(error, attempt) == shortest
    assert FullJitter(uniform=lambda: 1.0).delay(error, attempt) == longest


@given(st.floats(0, PATIENCE), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_never_before_the_floor_nor_long_after(floor: float, attempt: int, drawn: float) -> None:
    delay = FullJitter(uniform=lambda: drawn).delay(TransientError("x", cause="cut", floor=floor), attempt)
    assert floor <= delay <= floor + 60


def test_more_than_its_bound_is_not_waited_for() -> None:
    asks = TransientError("a.test answered 429 for f.", cause="status_429", floor=999_999.0)
    with pytest.raises(PatienceError, match="pause of 999999 s, longer than the 20 s of --host-patience") as raised:
        FullJitter(patience=20.0).delay(asks, 1)
    assert raised.value.floor == 20.0


def outcome(
    failures: Sequence[Exception], attempts: int = 4
) -> tuple[object, list[float], list[tuple[str, int, float]]]:
    left = list(failures)
    slept: list[float] = []
    told: list[tuple[str, int, float]] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def ask() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    retrying = metadata_retrying(
        on_retry=lambda error, attempt, delay: told.append((error.cause, attempt, delay)),
        wait=FullJitter(uniform=lambda: 0.5),
        attempts=attempts,
        sleep=sleep,
    )
    try:
        return asyncio.run(retrying(ask)), slept, told
    except (TransientError, SourceError) as error:
        return error, slept, told


def test_transient_failures_are_asked_again_after_their_delay() -> None:
    failures = [TransientError("a", cause="reset"), TransientError("b", cause="status_429", floor=10)]
    assert outcome(failures) == ("answer", [0.5, 15.0], [("reset", 1, 0.5), ("status_429", 2, 15.0)])


def test_the_last_failure_is_raised_and_final_ones_at_once() -> None:
    last = TransientError("d", cause="dns")
    error, slept, _ = outcome([TransientError(str(n), cause="dns") for n in range(3)] + [last])
    assert error is last
    assert len(slept) == 3
    final = SourceError("gone")
    assert outcome([final]) == (final, [], [])


@pytest.mark.parametrize(("cause", "most"), [("dns", 10.0), ("connect", 10.0), ("timeout", 30.0)])
def test_an_absent_host_is_given_up_in_time_and_then_at_once(cause: str, most: float) -> None:
    now = [100.0]
    outage = Outage(clock=lambda: now[0])
    told: list[float] = []

    async def ask(answers: list[str]) -> str:
        if not answers:
            raise TransientError("away", cause=cause)
        return answers.pop()

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    retrying = metadata_retrying(
        on_retry=lambda error, attempt, delay: told.append(delay),
        wait=FullJitter(uniform=lambda: 0.9),
        outage=outage,
        attempts=99,
        sleep=sleep,
    )
    with pytest.raises(TransientError):
        asyncio.run(retrying(ask, []))
    assert len(told) > 2 and most / 2 < now[0] - 100.0 <= most
    told.clear()
    with pytest.raises(TransientError):
        asyncio.run(retrying(ask, []))
    assert told == [], "a mirror on the same host need not wait again"
    with pytest.raises(TransientError, match="away"):
        outage.check()
    now[0] += 10.0
    outage.check()
    outage.end()
    with pytest.raises(TransientError):
        asyncio.run(retrying(ask, []))
    assert len(told) > 2
