"""The parts of the transfer that decide without doing: runs of blocks, the cap, the budget, stalls, file headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.transfer.limits import Budget, RateLimit
from prefetch.transfer.load import Load, LoadMeter
from prefetch.transfer.peers import LONGEST, SHORTEST, Connection, Peers
from prefetch.transfer.runs import Runs
from prefetch.transfer.stalls import (
    FAR_BELOW,
    HANDSHAKE,
    PATIENCE,
    SILENCE,
    Speedometer,
    is_stalled,
    is_worth_replacing,
)
from prefetch.volume.blocks import BLOCK_SIZE

blocks = st.sets(st.integers(0, 60))


@given(st.integers(0, 60), blocks)
def test_missing_runs_are_exactly_what_is_not_present(count: int, present: set[int]) -> None:
    runs = Runs.missing(count, present)
    assert [i for first, last in runs for i in range(first, last)] == sorted(set(range(count)) - present)
    assert len(runs) == len(set(range(count)) - present)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))), st.integers(1, 7))
def test_runs_give_every_block_once_lowest_first(pairs: list[tuple[int, int]], limit: int) -> None:
    runs = Runs(pairs)
    taken: list[int] = []
    while (run := runs.take(limit)) is not None:
        assert 0 < run[1] - run[0] <= limit
        taken += range(*run)
    assert taken == sorted({i for first, last in pairs for i in range(first, last)})
    assert not runs


def test_the_cap_lets_a_second_of_bytes_through_in_a_second() -> None:
    now = 100.0
    limit = RateLimit(1_000_000, clock=lambda: now)
    waited = 0.0
    for _ in range(40):
        wait = limit.debt(50_000)
        waited += wait
        now += wait
    assert waited == pytest.approx(2.0, abs=0.11)


def test_the_cap_forgives_no_more_than_a_moment_of_idleness() -> None:
    now = 0.0
    limit = RateLimit(1_000_000, clock=lambda: now)
    now = 60.0
    assert limit.debt(1_000_000) == pytest.approx(0.9)


def test_what_was_paid_for_and_did_not_come_is_given_back() -> None:
    limit = RateLimit(1_000_000, clock=lambda: 0.0)
    assert limit.debt(500_000) == pytest.approx(0.5)
    limit.give_back(400_000)
    assert limit.debt(100_000) == pytest.approx(0.2)


@pytest.mark.parametrize(("cap", "first"), [(None, 16), (1, 2), (8_000_000, 3), (20_000_000, 9), (10**9, 16)])
def test_under_a_cap_there_are_as_many_connections_as_finish_a_block_soon(cap: int | None, first: int) -> None:
    budget = Budget(64, cap=cap)
    assert budget.target == first
    for _ in range(20):
        budget.tick(speed=cap or 0, used=budget.target)
    assert cap is None or budget.target == first, "they reach it"


def test_connections_that_do_not_reach_the_cap_become_more() -> None:
    budget, targets = Budget(16, cap=8_000_000), []
    for _ in range(3 * Budget.PATIENCE):
        budget.tick(speed=budget.target * 500_000, used=budget.target)
        targets.append(budget.target)
    assert targets[Budget.PATIENCE - 2 :: Budget.PATIENCE] == [3, 7, 11]
    assert max(targets) == 15


def test_the_budget_grows_while_more_connections_bring_more_bytes() -> None:
    budget = Budget(24)
    targets = []
    for _ in range(4):
        targets.append(budget.target)
        budget.tick(speed=budget.target * 20e6, used=budget.target)
    assert targets == [16, 20, 24, 24]


def test_the_budget_stays_where_more_connections_bring_nothing() -> None:
    budget = Budget(64)
    budget.tick(speed=200e6, used=16)
    targets = []
    for _ in range(4):
        budget.tick(speed=200e6, used=budget.target)
        targets.append(budget.target)
    assert targets == [20, 20, 20, 20]


@pytest.mark.parametrize(
    ("why", "waiting", "idle", "expected"),
    [
        ("a slow network: nothing waits for the volume", 0.0, 0.8, Load.LIGHT),
        ("a slow volume: most connections wait for memory", 0.8, 0.7, Load.FULL),
        ("slow processors: the loop is never done", 0.0, 0.02, Load.FULL),
        ("both at once", 0.8, 0.0, Load.FULL),
        ("a volume that keeps up, just", 0.4, 0.6, Load.EVEN),
        ("processors that keep up, just", 0.0, 0.15, Load.EVEN),
    ],
)
def test_what_connections_wait_for(why: str, waiting: float, idle: float, expected: Load) -> None:
    assert Load.of(waiting=waiting, idle=idle) is expected, why


def test_a_burst_is_no_load() -> None:
    meter = LoadMeter(0.0, 0.0)
    shares = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    loads = [meter.look(tick / 2, waiting=share, idle=tick / 4) for tick, share in enumerate(shares, 1)]
    assert loads == [Load.LIGHT] * 5 + [Load.FULL] * 3


def test_a_loop_that_does_not_tell_counts_as_idle() -> None:
    meter = LoadMeter(0.0, None)
    assert meter.look(0.5, waiting=0.0, idle=None) is Load.LIGHT


def test_a_loop_that_is_never_done_is_a_load() -> None:
    meter = LoadMeter(0.0, 3.0)
    loads = [meter.look(tick / 2, waiting=0.0, idle=3.0 + tick / 100) for tick in range(1, 5)]
    assert loads[-1] is Load.FULL
    assert loads[0] is Load.LIGHT, "every transfer begins with work"


def test_a_machine_at_its_limit_has_fewer_connections_and_gets_them_back() -> None:
    budget, targets = Budget(16), []
    for load in (*[Load.FULL] * 5, Load.EVEN, *[Load.LIGHT] * 3):
        budget.tick(speed=200e6, used=budget.target, load=load)
        targets.append(budget.target)
    assert targets == [12, 8, 8, 8, 8, 8, 12, 12, 12]
    for _ in range(Budget.PATIENCE):
        budget.tick(speed=200e6, used=budget.target)
    assert budget.target == 16, "a network that may have become faster is tried again"


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_a_machine_at_its_limit_keeps_the_few_connections_it_has(limit: int) -> None:
    budget = Budget(limit)
    for _ in range(9):
        budget.tick(speed=200e6, used=limit, load=Load.FULL)
    assert budget.target == limit


def test_one_look_is_no_proof_that_a_machine_is_at_its_limit() -> None:
    budget, meter = Budget(16), LoadMeter(0.0, 0.0)
    for tick, waiting in enumerate([1.0, 0.0, 0.0, 0.0] * 4, 1):
        budget.tick(speed=200e6, used=16, load=meter.look(tick / 2, waiting=waiting, idle=tick / 2))
    assert budget.target == 16


def test_unused_connections_are_no_reason_for_more() -> None:
    budget = Budget(64)
    budget.tick(speed=1e9, used=3)
    assert budget.target == Budget.FIRST


@pytest.mark.parametrize(("limit", "after"), [(1, 1), (4, 3), (64, 12)])
def test_errors_shrink_the_budget_but_never_to_nothing(limit: int, after: int) -> None:
    budget = Budget(limit)
    for _ in range(16):
        budget.failed()
    assert budget.target == after, "sixteen connections that fail at once are one incident"
    for _ in range(50):
        budget.tick(speed=0, used=0)
        budget.failed()
    assert budget.target == 1


def meter(*, speed: float, seconds: float) -> Speedometer:
    result = Speedometer(0.0)
    for tick in range(1, int(seconds * 2) + 1):
        result.mark(tick / 2, int(speed * tick / 2))
    return result


@pytest.mark.parametrize(
    ("why", "own", "silent", "siblings", "judged", "stalled"),
    [
        ("as fast as the others", meter(speed=40e6, seconds=5), 0.1, [40e6] * 5, 0, False),
        ("far below the others", meter(speed=1e6, seconds=5), 0.1, [40e6] * 5, 0, True),
        ("slow, but not far below", meter(speed=40e6 * FAR_BELOW * 1.1, seconds=5), 0.1, [40e6] * 5, 0, False),
        ("far below, but too young to say", meter(speed=1e6, seconds=PATIENCE / 2), 0.1, [40e6] * 5, 0, False),
        ("slow like everybody", meter(speed=1e5, seconds=60), 0.1, [1e5] * 5, 0, False),
        ("alone and slow", meter(speed=1e3, seconds=60), 0.1, [], 0, False),
        ("silent while others move", meter(speed=0, seconds=PATIENCE), PATIENCE, [40e6], 0, True),
        ("silent like everybody", meter(speed=0, seconds=10), 10.0, [0.0, 0.0], 0, False),
        ("silent for too long whoever moves", meter(speed=0, seconds=31), SILENCE + 1, [], 0, True),
        ("judged before: more patience", meter(speed=0, seconds=PATIENCE), PATIENCE, [40e6], 1, False),
        ("hunted often enough", meter(speed=1e6, seconds=PATIENCE * 15), 0.1, [40e6] * 5, 4, False),
    ],
)
def test_stalls(why: str, own: Speedometer, silent: float, siblings: list[float], judged: int, stalled: bool) -> None:
    assert is_stalled(own=own, silent=silent, siblings=siblings, judged=judged) is stalled, why


@pytest.mark.parametrize(
    ("why", "own", "silent", "siblings", "stalled"),
    [
        ("slow beside another host", meter(speed=1e6, seconds=60), 0.1, [], False),
        ("silent beside another host", meter(speed=0, seconds=PATIENCE), PATIENCE, [], True),
        ("far below its own siblings", meter(speed=1e6, seconds=5), 0.1, [40e6] * 5, True),
        ("too young to say", meter(speed=0, seconds=PATIENCE / 2), PATIENCE / 2, [], False),
    ],
)
def test_another_hosts_speed_is_no_measure_but_its_bytes_are_a_sign(
    why: str, own: Speedometer, silent: float, siblings: list[float], stalled: bool
) -> None:
    assert is_stalled(own=own, silent=silent, siblings=siblings, judged=0, elsewhere=True) is stalled, why


@pytest.mark.parametrize(
    ("why", "own", "remaining", "siblings", "judged", "worth"),
    [
        ("slow, and much is left", meter(speed=1e6, seconds=1), 8_000_000, [40e6] * 5, 0, True),
        ("done before another one has begun", meter(speed=1e6, seconds=1), 400_000, [40e6] * 5, 0, False),
        ("a little slower than the others", meter(speed=30e6, seconds=1), 8_000_000, [40e6] * 5, 0, False),
        ("silent", meter(speed=0, seconds=1), 1, [40e6] * 5, 0, True),
        ("silent like everybody", meter(speed=0, seconds=9), 8_000_000, [0.0], 0, False),
        ("too young to say", meter(speed=0, seconds=HANDSHAKE / 2), 8_000_000, [40e6] * 5, 0, False),
        ("judged before: more patience", meter(speed=0, seconds=HANDSHAKE), 8_000_000, [40e6] * 5, 1, False),
    ],
)
def test_a_free_connection_takes_over_what_it_brings_much_sooner(
    why: str, own: Speedometer, remaining: int, siblings: list[float], judged: int, worth: bool
) -> None:
    assert is_worth_replacing(own=own, remaining=remaining, siblings=siblings, judged=judged) is worth, why


def peers(*, latency: float, speed: float, waited: float = 0.0, requests: int = 3) -> Peers:
    result = Peers()
    for _ in range(requests):
        result.ended("host", Connection(16 << 20, latency, latency + (16 << 20) / speed, waited))
    return result


@pytest.mark.parametrize(
    ("why", "latency", "speed", "expected"),
    [
        ("a near host: as short as a request is worth", 0.001, 50e6, SHORTEST),
        ("80 ms and 10 MB/s: 32 MB hide the wait", 0.08, 10e6, 8 * BLOCK_SIZE),
        ("far and fast: as long as the memory bears", 0.3, 100e6, LONGEST),
    ],
)
def test_ranges_hide_the_wait_for_the_first_byte(why: str, latency: float, speed: float, expected: int) -> None:
    assert peers(latency=latency, speed=speed).range_size("host") == expected, why


def test_nothing_is_hidden_where_the_volume_has_connections_wait_longer() -> None:
    assert peers(latency=0.3, speed=100e6, waited=0.4).range_size("host") == SHORTEST


def test_an_unknown_host_gets_ranges_of_a_middling_size() -> None:
    assert SHORTEST < Peers().range_size("host") < LONGEST


def test_a_given_range_size_is_kept_to_in_whole_blocks() -> None:
    assert Peers(10 * BLOCK_SIZE + 1).range_size("host") == 10 * BLOCK_SIZE
    assert Peers(1).range_size("host") == BLOCK_SIZE


def test_short_answers_tell_nothing_of_a_hosts_speed() -> None:
    known = Peers()
    known.ended("host", Connection(1000, 0.1, 0.1))
    assert known.speeds("host") == []
