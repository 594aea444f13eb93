"""The main job on a real btrfs, which shows through an open directory only what was there when it was first read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.server import running_origin
from tests.support.btrfs import btrfs_volume
from tests.support.commands import Commands
from tests.support.models import BLOCK, assert_whole, repo_of, wanted
from tests.support.runs import Runs

MODELS = wanted(2 * BLOCK + 1, 50_000)


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    with btrfs_volume(tmp_path, 1_000_000_000) as volume:
        yield volume


def test_a_volume_is_filled_and_stays_filled(commands: Commands, btrfs: Path) -> None:
    with running_origin(repos=[repo_of(MODELS)]) as origin:
        runs = Runs(commands, origin, btrfs, tuple(MODELS))
        # Nobody else is there: one who does not find the claim just made would wait for itself.
        first = runs.run("--no-wait")
        assert first.returncode == 0, first.stderr
        assert_whole(btrfs, MODELS)
        asked = len(origin.requests)
        assert runs.run().returncode == 0
        assert len(origin.requests) == asked
