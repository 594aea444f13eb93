"""A volume that is full, or that may not be written: a sentence, what is done is kept, and the next run goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.models import BLOCK, asked_blocks, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, since, until

MODELS = wanted(9 * BLOCK + 1, 50_000)
MODEL = MODELS[0]
SIZE = 64_000_000

pytestmark = pytest.mark.needs("mounts")


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Iterator[Runs]:
    """Runs onto a file system of its own, of `SIZE` bytes."""
    volume = tmp_path / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", volume], check=True)
    try:
        yield Runs(commands, origin, volume, tuple(MODELS))
    finally:
        subprocess.run(["umount", "--lazy", volume], check=True)


def fill(volume: Path, *, left: int) -> Path:
    """Take all the space but ``left`` bytes."""
    status = os.statvfs(volume)
    ballast = volume / "ballast"
    ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - left))
    return ballast


def test_what_cannot_fit_is_not_begun(runs: Runs) -> None:
    fill(runs.volume, left=9 * BLOCK)
    outcome = runs.run()
    assert outcome.returncode == 4, outcome.stderr
    assert outcome.document["error"]["code"] == "space"
    assert outcome.models[MODEL.path]["status"] == "failed"
    assert runs.sent() == 0


def test_space_that_runs_out_under_way_is_the_end_and_costs_nothing(runs: Runs, origin: DemoServer) -> None:
    with runs.start("--connections", "2") as process:
        until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 2, "the second block", process)
        ballast = fill(runs.volume, left=2 * BLOCK)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 4, stderr
    assert "No space left" in stderr
    assert '"code": "space"' in stdout
    assert not (runs.volume / MODEL.path).exists()
    finished, before = journals(runs.volume)[MODEL.path], len(origin.requests)
    assert len(finished) >= 2

    full = runs.run()
    assert full.returncode == 4, full.stderr
    assert len(journals(runs.volume)[MODEL.path]) >= len(finished)

    ballast.unlink()
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert not finished & asked_blocks(since(origin, before), MODEL)
    assert_whole(runs.volume, MODELS)


def test_a_full_volume_that_has_everything_is_well(runs: Runs) -> None:
    assert runs.run().returncode == 0
    fill(runs.volume, left=0)
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert {model["status"] for model in outcome.document["models"]} == {"present"}


def test_a_volume_that_may_only_be_read(runs: Runs) -> None:
    assert runs.of(MODELS[1]).run().returncode == 0
    remount = ["mount", "-o", "remount,ro", str(runs.volume)]
    subprocess.run(remount, check=True)
    here = runs.of(MODELS[1])
    assert here.run().returncode == 0, "all of it is there"
    assert here.do("verify").returncode == 0
    outcome = runs.run()
    assert outcome.returncode == 1, outcome.stderr
    assert "ead-only file system" in outcome.document["error"]["message"]
    assert runs.sent() == MODELS[1].content.size


def test_a_directory_that_may_not_be_written(runs: Runs) -> None:
    (runs.volume / "models").mkdir(mode=0o555)
    # Root may write everywhere unless it gives that right up.
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *runs.commands.argv(*runs.words("run"))]
    ended = subprocess.run(
        words, env=runs.commands.environment(runs.environment()), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Permission denied" in ended.stdout
    assert list((runs.volume / "models").iterdir()) == []
