"""Models whose hash nobody knows beforehand: what came of them last counts as long as their host tells the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.actions import Hide
from prefetch.demo.content import Flipped
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.models import BLOCK, Wanted, assert_whole, flip, wanted
from tests.support.runs import Runs

MODELS = wanted(5 * BLOCK + 77, 50_000)
LARGE, SMALL = MODELS
TOTAL = sum(model.content.size for model in MODELS)
SLACK = 4 * BLOCK
"""Bytes that the origin may have sent into buffers of connections that were closed."""
NO_ETAG = Fault(do=Hide(("ETag",)), times=None)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(link=Link(pace=20_000_000)) as server:
        yield server


def entries(origin: DemoServer, *models: Wanted, **keys: Any) -> list[dict[str, Any]]:
    """The models as plain files without a hash."""
    return [
        model.entry(**{"source": origin.put_file(model.name, model.content), "sha256": None, "size": None, **keys})
        for model in models
    ]


def sent(origin: DemoServer, before: int = 0) -> int:
    return sum(request.sent for request in origin.requests[before:])


def replaced(runs: Runs) -> list[Path]:
    return [file for file in (runs.volume / ".prefetch/replaced").rglob("*") if file.is_file()]


@pytest.mark.parametrize("faults", [[], [NO_ETAG]], ids=["etag", "no validator"])
def test_many_runs_at_once_fetch_it_once(runs: Runs, origin: DemoServer, faults: list[Fault]) -> None:
    origin.add_faults(*faults)
    manifest = runs.manifest(entries(origin, *MODELS))
    words = ("run", manifest, "--volume", runs.volume, "--json")
    runs.volume.mkdir()
    with ExitStack() as stack:
        processes = [stack.enter_context(runs.commands.start(*words)) for _ in range(3)]
        results = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=60)
            assert process.returncode == 0, stderr
            results.append(json.loads(stdout))
    assert_whole(runs.volume, MODELS)
    assert sum(result["bytes_downloaded"] for result in results) == TOTAL
    assert sent(origin) < TOTAL + SLACK
    assert replaced(runs) == []


def test_two_paths_of_one_source_wanted_at_once_are_one_download(runs: Runs, origin: DemoServer) -> None:
    [here], [there] = entries(origin, LARGE), entries(origin, LARGE, path="models/other.safetensors")
    runs.volume.mkdir()
    with ExitStack() as stack:
        manifests = [runs.manifest([entry], name=f"{number}.yaml") for number, entry in enumerate((here, there))]
        words = [("run", manifest, "--volume", runs.volume, "--json") for manifest in manifests]
        processes = [stack.enter_context(runs.commands.start(*each)) for each in words]
        results = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(result["bytes_downloaded"] for result in results) == LARGE.content.size
    assert sorted(model["status"] for result in results for model in result["models"]) == ["downloaded", "linked"]


@pytest.mark.parametrize("model", MODELS, ids=["large", "small"])
def test_what_stood_there_and_is_the_same_is_adopted(runs: Runs, origin: DemoServer, model: Wanted) -> None:
    file = runs.volume / model.path
    file.parent.mkdir(parents=True)
    file.write_bytes(model.content.read(0, model.content.size))
    before = file.stat()
    outcome = runs.run(entries=entries(origin, model))
    assert outcome.models[model.path]["status"] == "adopted"
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert replaced(runs) == []
    assert "kept the file" not in outcome.stderr
    pruned = runs.do("prune", "--yes", entries=entries(origin, *[each for each in MODELS if each is not model]))
    assert file.exists(), f"it is its user's: {pruned.stderr}"


@pytest.mark.parametrize("model", MODELS, ids=["large", "small"])
def test_what_stood_there_and_differs_is_kept(runs: Runs, origin: DemoServer, model: Wanted) -> None:
    file = runs.volume / model.path
    file.parent.mkdir(parents=True)
    file.write_bytes(Flipped(model.content, 40_000).read(0, model.content.size))
    assert runs.run(entries=entries(origin, model)).models[model.path]["status"] == "downloaded"
    assert_whole(runs.volume, [model])
    assert len(replaced(runs)) == 1


def test_damage_costs_its_block(runs: Runs, origin: DemoServer) -> None:
    wanted_now = entries(origin, LARGE)
    assert runs.run(entries=wanted_now).returncode == 0
    flip(runs.volume / LARGE.path, 3 * BLOCK)
    verified = runs.do("verify", entries=wanted_now)
    assert "1 of 6 blocks differ" in verified.stderr
    assert "`prefetch run` mends it, or fetches all of it again if its host has another file by now" in verified.stderr
    before = len(origin.requests)
    outcome = runs.run(entries=wanted_now)
    assert_whole(runs.volume, [LARGE])
    assert outcome.models[LARGE.path]["bytes_downloaded"] == BLOCK
    assert sent(origin, before) <= BLOCK + 1, "the block, and the byte that is asked for first"


def test_damage_costs_its_block_after_the_file_was_only_touched(runs: Runs, origin: DemoServer) -> None:
    wanted_now, file = entries(origin, LARGE), runs.volume / LARGE.path
    assert runs.run(entries=wanted_now).returncode == 0
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert runs.run(entries=wanted_now).models[LARGE.path]["status"] == "adopted"
    flip(file, 3 * BLOCK)
    assert runs.run(entries=wanted_now).models[LARGE.path]["bytes_downloaded"] == BLOCK
    assert_whole(runs.volume, [LARGE])


@pytest.mark.parametrize(
    ("faults", "why"),
    [([NO_ETAG], "tells neither its hash nor a strong ETag"), ([], "need not be the file that was verified here")],
    ids=["no validator", "another file by now"],
)
def test_damage_that_costs_all_of_it_is_said_beforehand(
    runs: Runs, origin: DemoServer, faults: list[Fault], why: str
) -> None:
    origin.add_faults(*faults)
    wanted_now = entries(origin, LARGE)
    assert runs.run(entries=wanted_now).returncode == 0
    flip(runs.volume / LARGE.path, 3 * BLOCK)
    verified = runs.do("verify", entries=wanted_now).stderr
    assert ("`prefetch run` fetches all of it again" in verified) == bool(faults)
    if not faults:
        origin.put_file(LARGE.name, Flipped(LARGE.content, 2 * BLOCK))
    outcome = runs.run(entries=wanted_now)
    told, done = (
        outcome.stderr.index("is fetched whole, not only its damaged blocks"),
        outcome.stderr.index("downloaded "),
    )
    assert told < done
    assert why in outcome.stderr
    assert outcome.models[LARGE.path]["bytes_downloaded"] == LARGE.content.size


def test_a_record_that_lies_costs_bytes_and_no_failure(runs: Runs, origin: DemoServer) -> None:
    wanted_now = entries(origin, LARGE)
    assert runs.run(entries=wanted_now).returncode == 0
    [record] = (runs.volume / ".prefetch/inventory").glob("*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "sha256": "0" * 64, "suspect": True}))
    outcome = runs.run(entries=wanted_now)
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, [LARGE])


def test_a_record_of_an_earlier_version_is_read(runs: Runs, origin: DemoServer) -> None:
    wanted_now = entries(origin, LARGE)
    assert runs.run(entries=wanted_now).returncode == 0
    [record] = (runs.volume / ".prefetch/inventory").glob("*.json")
    known = json.loads(record.read_text())
    assert known.pop("etag") == f"{LARGE.content.git_sha1}"
    record.write_text(json.dumps(known))
    assert runs.run(entries=wanted_now).models[LARGE.path]["status"] == "present"


def test_refresh_asks_and_fetches_only_what_changed(runs: Runs, origin: DemoServer) -> None:
    wanted_now = entries(origin, LARGE)
    assert runs.run(entries=wanted_now).returncode == 0
    before = len(origin.requests)
    again = runs.run("--refresh", entries=wanted_now)
    assert again.models[LARGE.path]["status"] == "present"
    assert sent(origin, before) == 1, "the byte that is asked for first"
    origin.put_file(LARGE.name, Flipped(LARGE.content, 2 * BLOCK))
    assert runs.run("--refresh", entries=wanted_now).models[LARGE.path]["status"] == "downloaded"


WRONG = "ab" * 32


def test_a_wrong_hash_is_told_at_once_until_it_or_the_file_is_another(runs: Runs, origin: DemoServer) -> None:
    mistaken = entries(origin, LARGE, sha256=WRONG)
    first = runs.run(entries=mistaken)
    assert first.models[LARGE.path]["bytes_downloaded"] == 2 * LARGE.content.size
    before = len(origin.requests)
    again = runs.run(entries=mistaken)
    assert (again.returncode, again.document["error"]["code"]) == (1, "hash_mismatch")
    assert sent(origin, before) == 1, "the byte that is asked for first"
    said = f"has the SHA-256 {LARGE.content.sha256}, expected {WRONG}: an earlier run read it."
    assert said in again.models[LARGE.path]["error"]
    assert runs.run("--refresh", entries=mistaken).models[LARGE.path]["bytes_downloaded"] == 2 * LARGE.content.size
    corrected = runs.run(entries=entries(origin, LARGE, sha256=LARGE.content.sha256))
    assert corrected.models[LARGE.path]["status"] == "downloaded"


def test_a_file_that_became_another_is_fetched_in_spite_of_a_wrong_hash(runs: Runs, origin: DemoServer) -> None:
    coming = Flipped(LARGE.content, 2 * BLOCK)
    early = entries(origin, LARGE, sha256=coming.sha256)
    assert runs.run(entries=early).returncode == 1
    origin.put_file(LARGE.name, coming)
    assert runs.run(entries=early).models[LARGE.path]["status"] == "downloaded"


def test_a_mirror_with_a_wrong_file_is_not_fetched_again_either(runs: Runs, origin: DemoServer) -> None:
    other = origin.put_file("other.safetensors", Flipped(LARGE.content, 2 * BLOCK))
    mistaken = entries(origin, LARGE, sha256=WRONG, mirrors=[other])
    assert runs.run(entries=mistaken).models[LARGE.path]["bytes_downloaded"] == 4 * LARGE.content.size
    before = len(origin.requests)
    assert runs.run(entries=mistaken).returncode == 1
    assert sent(origin, before) == 2, "of each the byte that is asked for first"


def test_a_host_that_tells_nothing_to_know_a_file_by_is_asked_again(runs: Runs, origin: DemoServer) -> None:
    origin.add_faults(NO_ETAG)
    mistaken = entries(origin, LARGE, sha256=WRONG)
    for _ in range(2):
        assert runs.run(entries=mistaken).models[LARGE.path]["bytes_downloaded"] == 2 * LARGE.content.size
    assert not list((runs.volume / ".prefetch").glob("rejected/*"))
