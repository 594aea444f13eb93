"""Whether the hash of a model was told beforehand: said alike wherever it is said, however the model came."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.server import DemoServer, running_origin
from tests.support.models import BLOCK, repo_of, wanted
from tests.support.runs import Runs

MODELS = wanted(BLOCK + 77, 50_000)
TWICE = [
    model.entry(sha256=None, size=None, path=path)
    for model in MODELS
    for path in (model.path, f"models/again/{model.name}")
]


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


def told(runs: Runs, entries: Any, *options: str, command: str = "run") -> list[tuple[str, bool]]:
    """Each model's status and whether a hash of it was known beforehand; the gauge and the text say the same."""
    textfile = runs.commands.home / "prefetch.prom"
    watched = ("--textfile", str(textfile)) if command == "run" else ()
    outcome = runs.do(command, "--log-format", "json", *watched, *options, entries=entries)
    assert outcome.returncode == 0, outcome.stderr
    events = [json.loads(line) for line in outcome.stderr.splitlines()]
    done = [(event["status"], event["pinned"]) for event in events if event["event"] == "model_done"]
    if command == "run":
        unpinned = sum(not pinned for _, pinned in done)
        [gauge] = [line for line in textfile.read_text().splitlines() if line.startswith("prefetch_unpinned")]
        assert gauge == f"prefetch_unpinned_models {unpinned}.0"
    return sorted(done)


def test_a_hash_that_the_host_tells_was_known_of_each_name_of_its_file(runs: Runs) -> None:
    assert told(runs, TWICE) == [("downloaded", True)] * 2 + [("linked", True)] * 2
    for options in ((), (), ("--refresh",), ()):
        assert told(runs, TWICE, *options) == [("present", True)] * 4
    assert told(runs, TWICE, command="verify") == [("present", True)] * 4


def test_the_lines_of_a_file_with_two_names_agree(runs: Runs) -> None:
    outcome = runs.run(entries=TWICE)
    assert outcome.stderr.count("SHA-256 as expected") == 4
    assert "none was known beforehand" not in outcome.stderr


def test_a_run_that_reads_no_manifest_says_the_same(runs: Runs) -> None:
    told(runs, TWICE)
    outcome = runs.run("--log-format", "json", entries=TWICE)
    events = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert [event["pinned"] for event in events if event["event"] == "model_done"] == [True] * 4


def test_it_stays_known_of_a_file_that_is_adopted(runs: Runs) -> None:
    told(runs, TWICE)
    for entry in TWICE:
        os.utime(runs.volume / entry["path"], (1, 1))
    before = len(runs.origin.requests)
    assert told(runs, TWICE) == [("adopted", True)] * 4
    assert len(runs.origin.requests) == before, "its recorded hash is enough"
    for file in (runs.volume / ".prefetch/inventory").iterdir():
        file.unlink()
    for file in (runs.volume / ".prefetch/applied").iterdir():
        file.unlink()
    assert told(runs, TWICE) == [("adopted", True)] * 4


def test_a_model_of_which_nobody_tells_a_hash_is_counted_until_it_is_pinned(runs: Runs, origin: DemoServer) -> None:
    source = origin.put_file("plain.safetensors", MODELS[0].content)
    entry = MODELS[0].entry(sha256=None, size=None, source=source, path="models/plain.safetensors")
    assert told(runs, [entry]) == [("downloaded", False)]
    assert told(runs, [entry]) == [("present", False)]
    assert told(runs, [entry], command="verify") == [("present", False)]
    pinned = {**entry, "sha256": MODELS[0].content.sha256}
    assert told(runs, [pinned]) == [("present", True)]
    assert told(runs, [entry, *TWICE[:2]])[-1] == ("present", False), "another model's hash says nothing of this one"


def test_what_an_earlier_version_recorded_is_understood(runs: Runs) -> None:
    told(runs, TWICE)
    again = {entry["path"] for entry in TWICE if "again" in entry["path"]}
    for file in (*runs.volume.glob(".prefetch/applied/*.json"), *runs.volume.glob(".prefetch/inventory/*.json")):
        document = json.loads(file.read_text())
        _as_before(document, again)
        file.write_text(json.dumps(document))
    assert told(runs, TWICE) == [("present", True)] * 4
    assert all(model["told"] for model in _applied(runs.volume))


def _as_before(document: Any, linked: set[str]) -> None:
    """Make of what is recorded now what 0.1.0 recorded: nothing about where a linked file came from."""
    for model in document.get("models", []):
        del model["told"]
        model["pinned"] = False
    for record in (document, *document.get("records", [])):
        if record.get("path") in linked:
            record |= {"url": None, "commit": None, "etag": None, "pinned": False}


def _applied(volume: Path) -> list[dict[str, Any]]:
    [file] = (volume / ".prefetch/applied").iterdir()
    return list(json.loads(file.read_text())["models"])


def test_what_does_not_fit_is_told_with_what_is_known_of_it_and_what_takes_no_room_is_linked(runs: Runs) -> None:
    assert runs.run(entries=TWICE[2:3]).returncode == 0
    outcome = runs.run("--quota", "1M", entries=TWICE)
    assert outcome.returncode == 4
    large = MODELS[0]
    assert outcome.models[TWICE[3]["path"]]["status"] == "linked"
    for entry in TWICE[:2]:
        told = outcome.models[entry["path"]]
        assert (told["status"], told["size"], told["sha256"]) == ("failed", large.content.size, large.content.sha256)
