"""The pure half of block digests: the file, the verdict on a block, and the choice of a host."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.blockfile import BlockDigests, Digests, parse_blocks
from prefetch.errors import ManifestError
from prefetch.net.bounds import HostBounds
from prefetch.net.origin import Body
from prefetch.transfer.expected import Expected, Verdict
from prefetch.transfer.mirrors import Mirrors
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE

RIGHT, AGAIN, TAKE, LEAVE, FORGET = Verdict


class Host:
    """An origin that nobody opens."""

    def __init__(self, host: str, *, ranges: bool | None = True) -> None:
        self.host = host
        self.ranges = ranges
        self.pause = 0.0

    def open(self, start: int, stop: int | None) -> AbstractAsyncContextManager[Body]:
        raise NotImplementedError


A, B = Host("a"), Host("b")


def digest(number: int) -> bytes:
    return bytes([number]) * DIGEST_SIZE


LIST = b"".join(map(digest, range(200)))
WRONG, OTHER = digest(250), digest(251)


@st.composite
def digest_lists(draw: st.DrawFn) -> BlockDigests:
    files = {}
    for sha256 in draw(st.sets(st.binary(min_size=32, max_size=32), max_size=4)):
        blocks = draw(st.integers(1, 5))
        size = draw(st.integers((blocks - 1) * BLOCK_SIZE + 1, blocks * BLOCK_SIZE))
        count = blocks * DIGEST_SIZE
        files[sha256.hex()] = Digests(size, draw(st.binary(min_size=count, max_size=count)))
    return BlockDigests(files)


@given(digest_lists())
def test_a_list_is_read_as_it_was_written(digests: BlockDigests) -> None:
    assert parse_blocks(digests.to_bytes(), file="m.blocks") == digests


@given(digest_lists(), st.data())
def test_a_list_of_which_a_byte_was_changed_is_refused_or_reads_the_same(digests: BlockDigests, data: Any) -> None:
    written = bytearray(digests.to_bytes())
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    try:
        assert parse_blocks(bytes(written), file="m.blocks") == digests
    except ManifestError as error:
        assert str(error).startswith("m.blocks")


@given(st.binary(max_size=300))
def test_garbage_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(ManifestError, match=r"m\.blocks"):
        parse_blocks(data, file="m.blocks")


# The host, the digest it sent and the block it is of; then the verdict.
STORIES: dict[str, tuple[Sequence[Host], list[tuple[Host, int, bytes, Verdict]]]] = {
    "all well": ((A,), [(A, 0, digest(0), RIGHT), (A, 1, digest(1), RIGHT)]),
    "a byte flipped on the way": ((A,), [(A, 0, WRONG, AGAIN), (A, 0, digest(0), RIGHT)]),
    "the host insists": ((A,), [(A, 0, WRONG, AGAIN), (A, 0, WRONG, TAKE), (A, 1, digest(1), RIGHT)]),
    "every time another answer": (
        (A,),
        [*((A, 0, digest(240 + n), AGAIN) for n in range(5)), (A, 0, digest(246), LEAVE)],
    ),
    "another file": (
        (A,),
        [(A, n, WRONG, verdict) for n in range(2) for verdict in (AGAIN, TAKE)]
        + [(A, 2, WRONG, AGAIN), (A, 2, WRONG, TAKE), (A, 3, WRONG, LEAVE)],
    ),
    "one of two is wrong": (
        (A, B),
        [(A, 0, WRONG, AGAIN), (B, 0, digest(0), RIGHT), (A, 1, WRONG, AGAIN), (A, 2, WRONG, LEAVE)],
    ),
    "one of two is wrong now and then": (
        (A, B),
        [(A, n, digest(n), RIGHT) for n in range(20)] + [(A, n, WRONG, AGAIN) for n in (20, 21, 22)],
    ),
    "two hosts against the list": (
        (A, B),
        [(A, 0, WRONG, AGAIN), (B, 0, WRONG, TAKE), (A, 1, OTHER, AGAIN), (B, 1, OTHER, FORGET)],
    ),
    "two hosts against each other": (
        (A, B),
        [(A, 0, WRONG, AGAIN), (B, 0, OTHER, AGAIN), (B, 0, digest(0), RIGHT)],
    ),
}


@pytest.mark.parametrize(("live", "story"), STORIES.values(), ids=STORIES.keys())
def test_the_verdict_on_each_block(live: Sequence[Host], story: list[tuple[Host, int, bytes, Verdict]]) -> None:
    expected = Expected(LIST)
    for host, index, sent, verdict in story:
        assert expected.judge(index, sent, host, live) is verdict, (host.host, index)


def connections(*origins: Host) -> Any:
    return [SimpleNamespace(origin=origin) for origin in origins]


def measured(*, a: float | None = None, b: float | None = None) -> Mirrors:
    """Two hosts, of which a speed is known or not."""
    mirrors = Mirrors((A, B), together=True, bounds=HostBounds())
    for origin, speed in ((A, a), (B, b)):
        for second in range(4 if speed is not None else 0):
            brought = SimpleNamespace(origin=origin, connected=True, received=int(second * (speed or 0)))
            mirrors.measure(float(second), [brought])  # type: ignore[list-item]
    return mirrors


PICKS: list[tuple[str, dict[str, float], Any, Host]] = [
    ("the first at first", {}, [], A),
    ("then each other one", {}, [A], B),
    ("and again", {}, [A, B], A),
    ("and all of them alike while nothing is known", {}, [A, A, A, B, B], B),
    ("an unknown one beside a known one", {"a": 90.0}, [A] * 9 + [B], B),
    ("the one with fewer", {"a": 20.0, "b": 20.0}, [A, A, B], B),
    ("the faster one", {"a": 90.0, "b": 10.0}, [A, B], A),
    ("not one that is crowded", {"a": 15.0, "b": 10.0}, [A, A, A, B], B),
    ("a speed that is known outlives its connections", {"a": 20.0, "b": 1.0}, [A] * 8, A),
    ("and makes a host that is free welcome", {"a": 20.0, "b": 20.0}, [A] * 8, B),
]


@pytest.mark.parametrize(("why", "speeds", "at_work", "picked"), PICKS, ids=[why for why, *_ in PICKS])
def test_the_host_that_brings_most(why: str, speeds: dict[str, float], at_work: list[Host], picked: Host) -> None:
    assert measured(**speeds).pick(connections(*at_work)) is picked


def test_hosts_one_after_another() -> None:
    mirrors = Mirrors((A, B), together=False, bounds=HostBounds())
    assert [mirrors.pick(connections(A)) for _ in range(3)] == [A] * 3
    assert mirrors.drop(A)
    assert mirrors.pick([], but={B}) is B, "the only one is asked in any case"
    assert not mirrors.drop(B)


def test_a_host_that_wants_a_pause_is_passed_over() -> None:
    paused = Host("paused")
    paused.pause = 3.0
    assert Mirrors((paused, B), together=True, bounds=HostBounds()).pick(connections(B, B, B)) is B
    assert Mirrors((paused,), together=True, bounds=HostBounds()).pick([]) is paused


def test_a_host_without_ranges_serves_alone_or_not_at_all() -> None:
    whole = Host("whole", ranges=False)
    assert Mirrors((whole, B), together=True, bounds=HostBounds()).live == [B]
    assert Mirrors((whole,), together=True, bounds=HostBounds()).live == [whole]
    assert Mirrors((whole, B), together=False, bounds=HostBounds()).live == [whole]


def test_a_host_that_failed_twice_is_not_tried_first_any_more_until_bytes_come_from_it() -> None:
    mirrors = Mirrors((A, B), together=True, bounds=HostBounds())
    at_work = connections(B, B)
    assert mirrors.pick(at_work) is A
    mirrors.failed(A)
    assert mirrors.pick(at_work) is A
    mirrors.failed(A)
    mirrors.failed(B)
    assert mirrors.pick(connections(B)) is B
    mirrors.measure(0.0, [SimpleNamespace(origin=A, connected=True, received=1)])  # type: ignore[list-item]
    assert mirrors.pick(at_work) is A
