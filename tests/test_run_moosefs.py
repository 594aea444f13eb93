"""The main job on a real MooseFS, the file system that RunPod's network volumes are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    wanted,
    write_manifest,
)
from tests.support.moosefs import MooseFS
from tests.support.origins import ask
from tests.support.runs import Runs, since
from tests.support.sidecars import sidecar
from tests.support.slots import tool

MODELS = wanted(9 * BLOCK + 1, 2 * BLOCK, 50_000)
MODEL = MODELS[0]


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, moosefs: MooseFS, request: pytest.FixtureRequest) -> Runs:
    return Runs(commands, origin, moosefs.folder(request.node.name), tuple(MODELS))


def test_a_network_volume_is_filled_and_stays_filled(runs: Runs, origin: DemoServer, moosefs: MooseFS) -> None:
    own = runs.volume / MODEL.path
    own.parent.mkdir()
    own.write_bytes(b"somebody's own work")
    first = runs.run()
    assert first.returncode == 0, first.stderr
    assert_whole(runs.volume, MODELS)
    assert (runs.volume / ".prefetch/replaced/1" / MODEL.path).read_bytes() == b"somebody's own work"

    before = len(origin.requests)
    again = runs.run()
    assert again.returncode == 0, again.stderr
    assert {model["status"] for model in again.document["models"]} == {"present"}
    assert len(origin.requests) == before

    elsewhere = runs.on(moosefs.mount() / runs.volume.name)
    verified = elsewhere.do("verify")
    assert verified.returncode == 0, verified.stderr
    assert {model["status"] for model in verified.document["models"]} == {"ok"}


def test_a_run_killed_on_a_network_volume_is_resumed(runs: Runs, origin: DemoServer) -> None:
    assert runs.run_until_killed(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 4, "--connections", "2")
    finished, before = journals(runs.volume), len(origin.requests)
    assert_never_wrong(runs.volume, MODELS)
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.models[MODEL.path]["bytes_resumed"] >= 4 * BLOCK
    assert not finished[MODEL.path] & asked_blocks(since(origin, before), MODEL)
    assert_whole(runs.volume, MODELS)
    assert list((runs.volume / ".prefetch/partial").iterdir()) == []


def test_a_quota_that_is_used_up_is_a_full_volume(runs: Runs, origin: DemoServer) -> None:
    # The file system refuses a write when a whole chunk of 64 MiB would not fit any more.
    tool("mfssetquota", "-S", str((64 << 20) + 6 * BLOCK), runs.volume)
    outcome = runs.run("--connections", "2")
    assert outcome.returncode == 4, outcome.stderr
    assert "quota exceeded" in outcome.document["error"]["message"]
    finished, before = journals(runs.volume), len(origin.requests)
    assert_never_wrong(runs.volume, MODELS)

    tool("mfsdelquota", "-A", runs.volume)
    resumed = runs.run()
    assert resumed.returncode == 0, resumed.stderr
    for model in MODELS:
        assert not finished.get(model.path, set()) & asked_blocks(since(origin, before), model)
    assert_whole(runs.volume, MODELS)


def test_a_sidecar_follows_what_another_host_edits_and_answers_while_its_mount_is_frozen(
    runs: Runs, moosefs: MooseFS
) -> None:
    _, large, small = MODELS
    elsewhere = moosefs.mount() / runs.volume.name
    write_manifest(elsewhere / "prefetch.yaml", [small.entry()])
    with sidecar(runs, "--prune", "--scrub", "0.00002") as serving:
        serving.until_at_rest(runs.volume / small.path)
        write_manifest(elsewhere / "prefetch.yaml", [large.entry()])
        serving.until_at_rest(runs.volume / large.path)
        serving.until(lambda: not (elsewhere / small.path).exists(), "the removal")
        serving.until(lambda: (serving.metric("prefetch_scrubbed_bytes_total") or 0) > large.content.size, "a round")
        with moosefs.frozen(moosefs.root):
            assert ask(f"{serving.url}/healthz").body == b"ok\n"
            assert serving.word == "ready"
        assert serving.end()["exit_code"] == 0
    assert_whole(elsewhere, [large])
