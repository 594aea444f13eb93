"""A clock that jumps in the middle of a run: nothing is fetched twice, nothing is given up, and it takes no longer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(8 * BLOCK + 1, 50_000)
DAY = 24 * 3600.0

CLOCK = """
import os, time
began = time.time

def shifted():
    with open(os.environ["CLOCK_SHIFT"]) as file:
        return began() + float(file.read() or 0)

time.time = shifted
"""
"""What Python starts with where it stands on its path as sitecustomize."""


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000), lifetime=3600) as server:
        yield server


def has_blocks(volume: Path, count: int) -> bool:
    return len(journals(volume).get(MODELS[0].path, ())) >= count


@pytest.mark.parametrize(
    "jumps", [(400 * DAY,), (-400 * DAY,), (90.0, -90.0)], ids=["a year on", "a year back", "to and fro"]
)
def test_a_clock_that_jumps(commands: Commands, origin: DemoServer, tmp_path: Path, jumps: tuple[float, ...]) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python/sitecustomize.py").write_text(CLOCK)
    shift, volume = tmp_path / "shift", tmp_path / "volume"
    shift.write_text("0")
    volume.mkdir()
    runs = Runs(commands, origin, volume, tuple(MODELS))
    env = {"PYTHONPATH": str(tmp_path / "python"), "CLOCK_SHIFT": str(shift)}
    with runs.start("--connections", "2", env=env) as process:
        for blocks, jump in enumerate(jumps, start=1):
            until(partial(has_blocks, volume, blocks), "another block", process)
            shift.with_suffix(".new").write_text(str(jump))
            shift.with_suffix(".new").rename(shift)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert_whole(volume, MODELS)
    assert runs.sent() == sum(model.content.size for model in MODELS)
    again = runs.run(env=env)
    assert again.returncode == 0 and again.document["bytes_downloaded"] == 0
    assert 0 <= again.document["seconds"] < 30
