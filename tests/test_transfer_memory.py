"""How a transfer's memory is shared out, and which range is shared out next. Pure but for an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.transfer.buffers import Buffer, Buffers, Shares
from prefetch.transfer.runs import Runs
from prefetch.transfer.worklist import Worklist
from prefetch.volume.blocks import BLOCK_SIZE

RANGE = 16 * BLOCK_SIZE


@given(st.integers(4, 200), st.integers(1, 64))
def test_every_buffer_has_its_purpose_and_every_connection_one(count: int, connections: int) -> None:
    connections = min(connections, count // 2)
    shares = Shares.of(count, connections=connections, writers=4, hashers=4)
    assert shares.moving + shares.reading + shares.kept == count
    assert shares.moving > connections
    assert shares.reading >= 1
    assert shares.kept >= 0


def test_a_kept_buffer_makes_room_for_another_one() -> None:
    async def story() -> None:
        buffers = Buffers(8, 1, kept=1)
        first = await buffers.acquire()
        waiting = asyncio.create_task(buffers.acquire())
        await asyncio.sleep(0)
        assert not waiting.done()
        assert buffers.keep()
        second = await waiting
        assert not buffers.has_room
        assert not buffers.keep()
        buffers.give_up(first)
        assert buffers.has_room
        buffers.release(second)
        assert await buffers.acquire() is second

    asyncio.run(story())


class Holder:
    """Who takes, keeps and gives back buffers of a pool of which six may be had and four more be kept, for now."""

    def __init__(self) -> None:
        self.buffers = Buffers(8, 6, kept=4)
        self.moving: list[Buffer] = []
        self.kept: list[Buffer] = []
        self.limit = 6

    async def take(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                self.moving.append(await self.buffers.acquire())

    async def give(self) -> None:
        if self.moving:
            self.buffers.release(self.moving.pop())

    async def keep(self) -> None:
        if self.moving and self.buffers.keep():
            self.kept.append(self.moving.pop())

    async def drop(self) -> None:
        if self.kept:
            self.buffers.give_up(self.kept.pop())

    async def narrow(self) -> None:
        if self.limit > 2:
            self.limit -= 2
            self.buffers.shift(2)

    async def widen(self) -> None:
        if self.limit < 8:
            self.limit += 2
            self.buffers.shift(-2)


@given(st.lists(st.sampled_from(["take", "give", "keep", "drop", "narrow", "widen"]), max_size=60))
def test_what_may_be_had_and_what_may_be_kept_shift_while_their_sum_stays(steps: list[str]) -> None:
    async def story() -> None:
        holder = Holder()
        for step in steps:
            await getattr(holder, step)()
            assert len(holder.moving) + len(holder.kept) <= 10
        for _ in range(10):
            await holder.give()
            await holder.drop()
        # What was idle when it was to be withheld is withheld as it comes back.
        for _ in range(10):
            await holder.take()
            await holder.give()
        for _ in range(10):
            await holder.take()
        assert len(holder.moving) == holder.limit
        for _ in range(10):
            await holder.keep()
        assert len(holder.kept) == min(holder.limit, 10 - holder.limit)

    asyncio.run(story())


def worklist(*, pending: tuple[int, int], in_flight: list[tuple[int, int]]) -> Worklist:
    """Blocks ``pending``, and ranges of which the given bytes are still to come."""
    work = Worklist()
    work.set(Runs([pending]))
    segments: Any = {Segment(position, stop) for position, stop in in_flight}
    work.segments = segments
    return work


@dataclass(eq=False)
class Segment:
    """What a work list knows of one."""

    position: int
    stop: int | None

    @property
    def remaining(self) -> int | None:
        return None if self.stop is None else self.stop - self.position


@pytest.mark.parametrize(
    ("why", "in_flight", "expected"),
    [
        ("near enough", [(10 * RANGE, 11 * RANGE)], None),
        ("far behind: its second half", [(5 * RANGE, 6 * RANGE)], (5 * RANGE + RANGE // 2, 6 * RANGE)),
        ("the first of two", [(7 * RANGE, 8 * RANGE), (0, RANGE)], (RANGE // 2, RANGE)),
        ("too short to be shared", [(0, 3 * BLOCK_SIZE)], None),
        ("nothing in flight", [], None),
        ("whose end is unknown", [(0, None)], None),
    ],
)
def test_a_range_that_falls_behind_the_others_is_shared_out(
    why: str, in_flight: list[tuple[int, int]], expected: tuple[int, int] | None
) -> None:
    work = worklist(pending=(20 * 16, 30 * 16), in_flight=in_flight)
    assert work.halve_straggler(12 * RANGE) == expected, why
    assert expected is None or any(segment.stop == expected[0] for segment in work.segments)
