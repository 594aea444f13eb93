"""Claims: who owns a model, who may outbid whom, and what a watcher may conclude."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.volume import claims
from prefetch.volume.claims import Claim, Own, Seen
from prefetch.volume.lives import Life, observed, unseen
from prefetch.volume.owner import Owner

KEY = "ab" * 32
ELSEWHERE = Owner("elsewhere", "another-boot", 1, 1, 1)


def claim(**changes: Any) -> Claim:
    return replace(Claim(owner=ELSEWHERE, path="models/a", size=10, life_ms=60_000), **changes)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path, os.O_RDONLY)
    yield number
    os.close(number)


def owned(directory: int, **changes: Any) -> Own:
    own = claims.take(directory, KEY, claim(**changes))
    assert isinstance(own, Own)
    return own


def seen(directory: int) -> Seen:
    found = claims.read(directory, KEY, claims.highest(directory)[KEY])
    assert found is not None
    return found


def test_what_is_claimed_is_not_given_to_another(directory: int) -> None:
    owned(directory)
    other = claims.take(directory, KEY, claim())
    assert isinstance(other, Seen)
    assert other.claim == claim()


def test_a_released_claim_is_free_and_the_next_has_a_higher_number(directory: int) -> None:
    first = owned(directory)
    first.claim = replace(first.claim, released=True)
    claims.release(directory, first)
    assert owned(directory).number == first.number + 1


def test_a_process_of_this_host_that_is_gone_need_not_be_waited_for(directory: int) -> None:
    gone = replace(Owner.current(), started=Owner.current().started + 1)
    owned(directory, owner=gone)
    assert owned(directory).number == 2


def test_a_claim_may_be_outbid_only_as_it_was_seen(directory: int) -> None:
    own = owned(directory)
    before = seen(directory)
    own.claim = replace(own.claim, beat=1)
    assert claims.beat(directory, own, claims.highest(directory))
    assert isinstance(claims.take(directory, KEY, claim(), outbid=before), Seen)
    assert isinstance(claims.take(directory, KEY, claim(), outbid=seen(directory)), Own)


def test_who_was_outbid_learns_it_and_writes_nothing(directory: int) -> None:
    first = owned(directory)
    second = claims.take(directory, KEY, claim(), outbid=seen(directory))
    assert isinstance(second, Own)
    before = claims.read(directory, KEY, first.number)
    assert not claims.beat(directory, first, claims.highest(directory))
    assert claims.read(directory, KEY, first.number) == before


def test_a_deleted_claim_is_made_again_unless_somebody_else_made_one(directory: int, tmp_path: Path) -> None:
    own = owned(directory)
    (tmp_path / own.name).unlink()
    assert claims.beat(directory, own, claims.highest(directory))
    (tmp_path / own.name).unlink()
    other = owned(directory)
    assert other.number == own.number
    assert not claims.beat(directory, own, claims.highest(directory))
    assert claims.beat(directory, other, claims.highest(directory))


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"x" * 32 + b"{", b"x" * 32 + b'{"owner": 1}'])
def test_an_empty_or_torn_claim_is_a_fresh_one(directory: int, tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{KEY}.1").write_bytes(content)
    assert isinstance(claims.take(directory, KEY, claim()), Seen)


def test_a_claim_is_never_written_shorter(directory: int, tmp_path: Path) -> None:
    own = owned(directory)
    length = (tmp_path / own.name).stat().st_size
    own.claim = replace(own.claim, done=10**15, speed=10**12, beat=10**6)
    assert claims.beat(directory, own, claims.highest(directory))
    assert (tmp_path / own.name).stat().st_size == length
    assert seen(directory).claim == own.claim


def test_competitors_never_own_the_same_number(tmp_path: Path) -> None:
    for round_ in range(20):
        assert competed(tmp_path, f"{round_:064x}") == [1]


def competed(path: Path, key: str) -> list[int]:
    """The numbers that eight who want the same at once come to own."""
    barrier, won = threading.Barrier(8), list[int]()

    def compete() -> None:
        directory = os.open(path, os.O_RDONLY)
        barrier.wait()
        own = claims.take(directory, key, claim())
        if isinstance(own, Own):
            won.append(own.number)
        os.close(directory)

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_two_who_outbid_the_same_do_not_both_own(directory: int) -> None:
    owned(directory)
    dead = seen(directory)
    first = claims.take(directory, KEY, claim(), outbid=dead)
    second = claims.take(directory, KEY, claim(), outbid=dead)
    assert isinstance(first, Own)
    assert isinstance(second, Seen)


# What a watcher may conclude ------------------------------------------------------------------------------------------

LIFE, LONGEST = 60.0, 15.0
MARK = (1, b"content")


def watch(readings: list[tuple[float, float]]) -> Life:
    life: Life | None = None
    for began, ended in readings:
        life = observed(life, MARK, began=began, ended=ended, longest=LONGEST)
    assert life is not None
    return life


def test_a_claim_that_stands_still_for_its_life_is_over() -> None:
    assert not watch([(float(at), float(at)) for at in range(60)]).is_over(LIFE)
    assert watch([(float(at), float(at)) for at in range(61)]).is_over(LIFE)


def test_any_difference_is_a_beat() -> None:
    life = watch([(float(at), float(at)) for at in range(60)])
    for mark in [(2, b"content"), (1, b"another")]:
        assert observed(life, mark, began=60, ended=60, longest=LONGEST).silent == 0


def test_an_outage_of_the_volume_is_nobodys_death() -> None:
    life = watch([(float(at), float(at)) for at in range(50)])
    slow = observed(life, MARK, began=50, ended=200, longest=LONGEST)
    assert (slow.silent, slow.last) == (0.0, None)
    assert observed(slow, MARK, began=201, ended=201, longest=LONGEST).silent == 0.0
    assert unseen(life).silent == 0.0


def test_a_watcher_that_was_frozen_has_seen_nothing_meanwhile() -> None:
    assert not watch([(0.0, 0.0), (10_000.0, 10_000.0)]).is_over(LIFE)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.booleans()), max_size=60), st.floats(-1e9, 1e9))
def test_nobody_is_given_up_before_that_much_prompt_silence(
    steps: list[tuple[float, float, bool]], start: float
) -> None:
    """Whatever the clock shows at the beginning, and whatever the claim's content says of time."""
    now, silence, prompt_before, life = start, 0.0, False, None
    for pause, took, beats in steps:
        began, now = now + pause, now + pause + took
        mark = (1, os.urandom(4)) if beats else (life.mark if life else MARK)
        prompt = now - began <= LONGEST
        same = life is not None and mark == life.mark
        silence = (
            silence + min(pause, LONGEST) if prompt and prompt_before and same else silence if prompt and same else 0
        )
        prompt_before = prompt
        life = observed(life, mark, began=began, ended=now, longest=LONGEST)
        assert life.silent <= silence + 1e-3
