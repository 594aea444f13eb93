"""Content and ending are compared wherever a name is given to bytes: fetched, found, linked, copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefetch.demo.actions import Status
from prefetch.demo.content import SyntheticFile
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, Wanted, asked_blocks, assert_whole, repo_of, sha256_of
from tests.support.runs import Runs, since
from tests.test_nearby import cached

LARGE = Wanted("large.safetensors", SyntheticFile("large.safetensors", 2 * BLOCK + 9, "safetensors", 1))
SMALL = Wanted("small.safetensors", SyntheticFile("small.safetensors", 40_000, "safetensors", 2))
MODELS = pytest.mark.parametrize("model", [LARGE, SMALL], ids=["large", "small"])
WRONG = "models/unet/wrong.gguf"
SAID = f"What should stand at {WRONG} does not go with that ending: it is a safetensors file"


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of([LARGE, SMALL])]) as origin:
        yield origin


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, tmp_path: Path) -> Runs:
    return Runs(commands, origin, tmp_path / "volume", (LARGE, SMALL))


def assert_refused(outcome: Outcome, runs: Runs, *, path: str = WRONG) -> None:
    assert outcome.returncode == 1, outcome.stderr
    assert SAID in outcome.models[path]["error"], outcome.stderr
    assert not (runs.volume / path).exists()


@MODELS
@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "by the host's hash"])
def test_a_fetched_file(runs: Runs, model: Wanted, pinned: bool) -> None:
    pins = {} if pinned else {"sha256": None, "size": None}
    assert_refused(runs.run(entries=[model.entry(path=WRONG, **pins)]), runs)


@MODELS
@pytest.mark.parametrize("wrong_first", [True, False], ids=["wrong first", "right first"])
def test_a_file_that_is_wanted_at_two_paths(runs: Runs, model: Wanted, wrong_first: bool) -> None:
    entries = [model.entry(), model.entry(path=WRONG)]
    outcome = runs.run(entries=entries[::-1] if wrong_first else entries)
    assert_refused(outcome, runs)
    assert_whole(runs.volume, [model])
    again = runs.run(entries=entries)
    assert_refused(again, runs)
    assert again.models[model.path]["status"] == "present"


def test_fail_fast_leaves_out_what_only_the_failure_made_necessary(runs: Runs) -> None:
    outcome = runs.run("--fail-fast", entries=[LARGE.entry(path=WRONG), LARGE.entry()])
    assert_refused(outcome, runs)
    assert "--fail-fast" in outcome.models[LARGE.path]["error"]
    assert not (runs.volume / LARGE.path).exists()


@MODELS
def test_a_file_that_stands_there(runs: Runs, model: Wanted) -> None:
    place = runs.volume / WRONG
    place.parent.mkdir(parents=True)
    place.write_bytes(model.content.read(0, model.content.size))
    outcome = runs.run(entries=[model.entry(path=WRONG), SMALL.entry(path="models/other.sft")])
    assert SAID in outcome.models[WRONG]["error"], outcome.stderr
    assert outcome.models["models/other.sft"]["status"] in ("downloaded", "linked")
    assert sha256_of(place) == model.content.sha256, "nothing that was there is lost"


@MODELS
def test_a_copy_in_a_cache(runs: Runs, model: Wanted) -> None:
    cached(runs.volume / "huggingface-cache" / "hub", model)
    assert_refused(runs.run(entries=[model.entry(path=WRONG)]), runs)


def test_a_file_whose_first_block_came_for_another_name(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(Fault(do=Status(418), server="cdn", times=None, range=lambda start, stop: start >= BLOCK))
    options = ("--connections", "1", "--range-size", "4M")
    assert runs.run(*options, entries=[LARGE.entry()]).returncode == 1
    origin.clear_faults()
    before = len(origin.requests)
    assert_refused(runs.run(*options, entries=[LARGE.entry(path=WRONG)]), runs)
    again = runs.run(*options, entries=[LARGE.entry()])
    assert again.returncode == 0, again.stderr
    assert 0 not in asked_blocks(since(origin, before), LARGE)
    assert_whole(runs.volume, [LARGE])


def test_a_node_s_own_name(runs: Runs, tmp_path: Path) -> None:
    comfyui = tmp_path / "comfyui"
    (comfyui / "custom_nodes" / "node").mkdir(parents=True)
    nodes = ("custom_nodes/node/a.gguf", "custom_nodes/node/a.sft")
    for node in nodes:
        outcome = runs.run("--comfyui", str(comfyui), entries=[SMALL.entry(node_path=node)])
        assert outcome.returncode == 0, outcome.stderr
        told = f"{node} is not linked to {SMALL.path}. What should stand at {node} does not go with that ending"
        assert (told in outcome.stderr) is node.endswith(".gguf")
        assert (comfyui / node).exists() is node.endswith(".sft")


def test_a_lock(commands: Commands, tmp_path: Path) -> None:
    """What is read for its hash is believed by its hash from then on."""
    with running_origin(files={"m": SMALL.content}) as origin:
        runs = Runs(commands, origin, tmp_path / "volume", ())
        manifest = runs.manifest([{"path": WRONG, "source": f"{origin.endpoint}/files/m"}])
        outcome = commands.run("lock", manifest, "--json")
        assert outcome.returncode == 1, outcome.stderr
        assert SAID in outcome.models[WRONG]["error"]
        assert not manifest.with_suffix(".lock.json").exists()
