"""The claims of one run: what it may still write, and what others are told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prefetch.errors import BusyError
from prefetch.leases import Leases
from prefetch.volume import claims
from prefetch.volume.claims import Claim, Own, Seen
from prefetch.volume.layout import Volume
from prefetch.volume.leftovers import OLD, clear_leftovers
from prefetch.volume.owner import Owner

KEY, PATH, LIFE = "ab" * 32, "models/a", 60.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume.open(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(volume: Volume, clock: Clock) -> Iterator[Leases]:
    leases = Leases(volume, life=LIFE, before_release=lambda: None, clock=clock)
    leases.expect([KEY])
    leases.take(KEY, PATH, 10)
    yield leases
    leases.close(within=5)


def seen(volume: Volume) -> Seen | None:
    with volume.writing(claims.DIRECTORY) as directory:
        number = claims.highest(directory).get(KEY)
        return None if number is None else claims.read(directory, KEY, number)


def test_what_is_not_confirmed_for_half_its_life_is_not_ours_to_write(leases: Leases, clock: Clock) -> None:
    clock.now += LIFE / 2
    assert leases.lost(KEY) is None
    clock.now += 1
    assert isinstance(leases.lost(KEY), BusyError)
    assert isinstance(leases.lost("never taken"), BusyError)


def test_beats_that_fail_lose_the_claim_in_time_and_one_that_succeeds_brings_it_back(
    leases: Leases, clock: Clock, volume: Volume
) -> None:
    directory = volume.state / "claims"
    directory.rename(volume.state / "away")
    directory.write_bytes(b"no directory")
    clock.now += LIFE / 3
    leases.confirm(KEY)
    clock.now += LIFE / 3
    with pytest.raises(BusyError, match="was lost"):
        leases.confirm(KEY)
    directory.unlink()
    (volume.state / "away").rename(directory)
    leases.confirm(KEY)
    assert leases.lost(KEY) is None


def test_who_was_outbid_never_gets_it_back(leases: Leases, clock: Clock, volume: Volume) -> None:
    before = seen(volume)
    with volume.writing(claims.DIRECTORY) as directory:
        claim = Claim(owner=Owner("elsewhere", "boot", 1, 1, 1), path=PATH, size=10, life_ms=60_000)
        other = claims.take(directory, KEY, claim, outbid=before)
    assert isinstance(other, Own)
    clock.now += 2
    for _ in range(2):
        with pytest.raises(BusyError):
            leases.confirm(KEY)


def test_others_are_told_for_how_long_it_is_held(leases: Leases, clock: Clock, volume: Volume) -> None:
    clock.now += 25
    leases.confirm(KEY)
    told = seen(volume)
    assert told is not None
    assert told.claim is not None
    assert (told.claim.path, told.claim.size, told.claim.age, told.claim.beat) == (PATH, 10, 25, 1)


def test_a_claim_of_a_day_ago_is_cleared_away_and_one_that_is_held_is_made_again(
    leases: Leases, clock: Clock, volume: Volume
) -> None:
    clear_leftovers(volume)
    assert seen(volume) is not None
    clear_leftovers(volume, clock=lambda: time.time() + OLD + 60)
    assert seen(volume) is None
    clock.now += 2
    leases.confirm(KEY)
    assert seen(volume) is not None
