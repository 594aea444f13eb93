"""Two runs at once on one volume: both end well, with the right files, and nothing but the files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.models import BLOCK, Wanted, assert_never_wrong, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(6 * BLOCK + 1, 4 * BLOCK, 2 * BLOCK, 50_000, 40_000)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=5_000_000)) as server:
        yield server


def at_once(runs: Runs, *parts: list[Wanted]) -> None:
    """One run for each part of the models, all at the same time, each to its good end."""
    runs.volume.mkdir()
    with ExitStack() as stack:
        processes: list[subprocess.Popen[str]] = []
        for number, part in enumerate(parts):
            manifest = runs.of(*part).manifest(name=f"{number}.yaml")
            words = ("run", manifest, "--volume", runs.volume, "--json", "--connections", "4")
            processes.append(stack.enter_context(runs.commands.start(*words, env=runs.environment())))
        for process, part in zip(processes, parts, strict=True):
            stdout, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
            paths = {model["path"] for model in json.loads(stdout)["models"] if model["status"] != "failed"}
            assert paths == {model.path for model in part}


def assert_only_the_models(volume: Path) -> None:
    assert_whole(volume, MODELS)
    files = {str(file.relative_to(volume)) for file in volume.rglob("*") if file.is_file()}
    assert {file for file in files if not file.startswith(".prefetch/")} == {model.path for model in MODELS}
    assert not (volume / ".prefetch/replaced").exists(), "what another run placed was taken for somebody's own"
    assert list((volume / ".prefetch/partial").iterdir()) == []


def test_two_runs_of_one_manifest(runs: Runs) -> None:
    at_once(runs, MODELS, MODELS)
    assert_only_the_models(runs.volume)
    verified = runs.do("verify")
    assert verified.returncode == 0, verified.stderr


def test_two_manifests_that_share_models(runs: Runs) -> None:
    at_once(runs, MODELS[:4], MODELS[1:])
    assert_only_the_models(runs.volume)


def test_a_run_that_takes_over_while_the_other_one_is_killed(runs: Runs) -> None:
    """The second borrows what the first has, and goes on when that is gone."""
    with runs.start("--connections", "2", "--limit-rate", "3M") as first:
        until(lambda: len(journals(runs.volume).get(MODELS[0].path, ())) >= 2, "the second block", first)
        with runs.start("--connections", "4") as second:
            assert second.stderr is not None
            assert any("waiting for" in line for line in second.stderr), "the second run did not wait"
            first.kill()
            first.wait()
            assert_never_wrong(runs.volume, MODELS)
            stdout, stderr = second.communicate(timeout=60)
    assert second.returncode == 0, stderr
    resumed = {model["path"]: model["bytes_resumed"] for model in json.loads(stdout)["models"]}
    assert resumed[MODELS[0].path] >= 2 * BLOCK
    assert runs.run().returncode == 0
    assert_only_the_models(runs.volume)
