"""SIGKILL at random moments: never a wrong byte under a final name, nothing that was finished is fetched again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from prefetch.demo.log import LogEntry
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import (
    BLOCK,
    asked_blocks,
    assert_never_wrong,
    assert_whole,
    journals,
    repo_of,
    sha256_of,
    wanted,
)
from tests.support.runs import Runs, since

LARGE = wanted(24 * BLOCK + 1, 7 * BLOCK - 5, 2 * BLOCK, 70_000)
SMALL = wanted(*range(20_000, 20_060), kind="gguf")
TOTAL = sum(model.content.size for model in LARGE)
KILLS = 8


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of([*LARGE, *SMALL])], link=Link(pace=10_000_000)) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    return Runs(commands, origin, tmp_path / "volume", tuple(LARGE))


def test_a_killed_run_goes_on_where_it_was(runs: Runs, origin: DemoServer) -> None:
    chance = random.Random(7)
    finished: Mapping[str, set[int]] = {}
    for _ in range(KILLS):
        before = len(origin.requests)
        enough = runs.sent() + chance.randrange(2 * TOTAL // KILLS)
        when = later(chance.uniform(0, 0.1), partial(has_sent, runs, enough))
        killed = runs.run_until_killed(when, "--connections", "4")
        assert_not_asked_for(finished, since(origin, before))
        assert_never_wrong(runs.volume, LARGE)
        if not killed:
            break
        finished = journals(runs.volume)

    before = len(origin.requests)
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert any(finished.values()), "no kill left anything to resume"
    assert_not_asked_for(finished, since(origin, before))
    assert sum(model["bytes_resumed"] for model in outcome.models.values()) >= BLOCK
    assert_whole(runs.volume, LARGE)
    assert_tidy(runs.volume)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05])
def test_a_run_killed_when_it_has_every_byte_needs_no_other(runs: Runs, delay: float) -> None:
    model = LARGE[1]
    runs = runs.of(model)
    blocks = set(range(-(-model.content.size // BLOCK)))
    runs.run_until_killed(later(delay, lambda: journals(runs.volume).get(model.path) == blocks))
    assert_never_wrong(runs.volume, [model])
    before = runs.sent()
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert runs.sent() == before
    assert_whole(runs.volume, [model])
    assert_tidy(runs.volume)


def test_a_run_killed_while_it_publishes_leaves_whole_files(runs: Runs, origin: DemoServer) -> None:
    chance = random.Random(7)
    runs = runs.of(*SMALL)
    placed = 0
    for _ in range(4):
        enough = placed + chance.randint(1, 12)
        if not runs.run_until_killed(
            later(chance.uniform(0, 0.01), partial(has_placed, runs, enough)), "--connections", "2"
        ):
            break
        placed = here(runs)
        assert_never_wrong(runs.volume, SMALL)
        assert_records_are_true(runs.volume)
    assert 0 < placed < len(SMALL), "no run was killed in the middle of its publications"

    there, before = [model for model in SMALL if (runs.volume / model.path).exists()], len(origin.requests)
    # A kill between a claim's creation and its first byte leaves one that only its age frees.
    outcome = runs.run("--claim-ttl", "5")
    assert outcome.returncode == 0, outcome.stderr
    assert not [model.path for model in there if asked_blocks(since(origin, before), model)]
    assert_whole(runs.volume, SMALL)
    assert_records_are_true(runs.volume)
    assert_tidy(runs.volume)


def later(seconds: float, condition: Callable[[], bool]) -> Callable[[], bool]:
    """A condition that holds so many seconds after ``condition`` was found to hold first."""
    met: list[float] = []

    def holds() -> bool:
        if not met and condition():
            met.append(time.monotonic())
        return bool(met) and time.monotonic() >= met[0] + seconds

    return holds


def has_sent(runs: Runs, enough: int) -> bool:
    return runs.sent() > enough


def has_placed(runs: Runs, enough: int) -> bool:
    return here(runs) >= enough


def here(runs: Runs) -> int:
    return sum((runs.volume / model.path).exists() for model in runs.models)


def assert_not_asked_for(finished: Mapping[str, set[int]], requests: Iterable[LogEntry]) -> None:
    """None of the finished blocks (by model path) is among what was asked for."""
    asked = list(requests)
    for path, blocks in finished.items():
        model = next(model for model in LARGE if model.path == path)
        assert not blocks & asked_blocks(asked, model), path


def assert_records_are_true(volume: Path) -> None:
    """What the inventory says of a file is so: a record never comes before the file it is of."""
    for file in (volume / ".prefetch" / "inventory").glob("*.json"):
        document = json.loads(file.read_text())
        for record in document.get("records", [document]):
            assert sha256_of(volume / record["path"]) == record["sha256"]


def assert_tidy(volume: Path) -> None:
    """Nothing that killed runs left is on its way to be kept for ever."""
    state = volume / ".prefetch"
    # A journal that got no header cannot be told from one that is just being made, until it is old.
    assert [file for file in (state / "partial").iterdir() if file.stat().st_size] == []
    assert not (state / "replaced").exists()
