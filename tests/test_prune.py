"""``prefetch prune``: what goes, what stays, and that nothing goes without being told to."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from prefetch.demo.server import running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, until

MODELS = wanted(3 * BLOCK + 1, BLOCK + 5, 70_000, 50_000)
LARGE, OTHER, SMALL, KEPT = MODELS


@pytest.fixture
def filled(runs: Runs) -> Runs:
    """All models placed, and the manifest names KEPT only."""
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    return runs.of(KEPT)


def statuses(outcome: Outcome) -> dict[str, str]:
    assert outcome.returncode == 0, outcome.stderr
    return {path: model["status"] for path, model in outcome.models.items()}


def records(volume: Path) -> str:
    return "".join(file.read_text() for file in (volume / ".prefetch/inventory").glob("*.json"))


def test_a_list_changes_nothing(filled: Runs) -> None:
    listed = statuses(filled.do("prune"))
    assert listed == dict.fromkeys((LARGE.path, OTHER.path, SMALL.path), "removable")
    assert_whole(filled.volume, MODELS)


def test_yes_removes_files_records_and_what_was_applied(filled: Runs) -> None:
    removed = statuses(filled.do("prune", "--yes"))
    assert removed == dict.fromkeys((LARGE.path, OTHER.path, SMALL.path), "removed")
    assert [str(file.relative_to(filled.volume)) for file in (filled.volume / "models").iterdir()] == [KEPT.path]
    assert_whole(filled.volume, [KEPT])
    assert KEPT.path in records(filled.volume)
    for model in (LARGE, OTHER, SMALL):
        assert model.path not in records(filled.volume)
    assert not list((filled.volume / ".prefetch/inventory").glob("*.blocks"))
    applied = "".join(file.read_text() for file in (filled.volume / ".prefetch/applied").iterdir())
    assert LARGE.path not in applied
    assert statuses(filled.do("prune", "--yes")) == {}
    assert statuses(filled.run()) == {KEPT.path: "present"}


def test_what_changed_or_was_never_ours_stays(filled: Runs) -> None:
    (filled.volume / LARGE.path).write_bytes(b"mine now")
    os.utime(filled.volume / SMALL.path, (1, 1))
    (filled.volume / OTHER.path).unlink()
    (filled.volume / OTHER.path).symlink_to(filled.volume / KEPT.path)
    stranger = filled.volume / "models/stranger.safetensors"
    stranger.write_bytes(b"never ours")
    outcome = filled.do("prune", "--yes")
    assert statuses(outcome) == dict.fromkeys((LARGE.path, OTHER.path, SMALL.path), "kept")
    assert all(model["error"] == "it has changed since prefetch placed it" for model in outcome.models.values())
    assert (filled.volume / LARGE.path).read_bytes() == b"mine now"
    assert (filled.volume / OTHER.path).is_symlink()
    assert stranger.exists()
    assert_whole(filled.volume, [SMALL, KEPT])


def test_an_adopted_file_is_its_users(runs: Runs) -> None:
    assert runs.of(LARGE).run().returncode == 0
    content = (runs.volume / LARGE.path).read_bytes()
    other = runs.on(runs.volume.with_name("other"))
    (other.volume / "models").mkdir(parents=True)
    (other.volume / LARGE.path).write_bytes(content)
    assert statuses(other.of(LARGE).run()) == {LARGE.path: "adopted"}
    assert statuses(other.of(KEPT).do("prune", "--yes")) == {LARGE.path: "kept"}
    assert_whole(other.volume, [LARGE])


def test_a_model_that_is_named_by_another_path_stays(filled: Runs) -> None:
    (filled.volume / "linked").symlink_to("models")
    entry = {**LARGE.entry(), "path": "linked/" + LARGE.name}
    kept = statuses(filled.do("prune", "--yes", entries=[entry]))
    assert kept[LARGE.path] == "kept"
    assert kept[KEPT.path] == "removed"
    assert_whole(filled.volume, [LARGE])


def test_one_of_two_names_of_a_file_goes_and_the_other_stays(runs: Runs) -> None:
    twice = [LARGE.entry(), LARGE.entry(path="models/second.safetensors")]
    assert runs.run(entries=twice).returncode == 0
    assert statuses(runs.do("prune", "--yes", entries=twice[:1])) == {"models/second.safetensors": "removed"}
    assert not (runs.volume / "models/second.safetensors").exists()
    assert_whole(runs.volume, [LARGE])


def test_a_claimed_model_stays(filled: Runs) -> None:
    elsewhere = {"host": "elsewhere", "boot_id": "b", "pid_namespace": 1, "pid": 7, "started": 1, "pod": "", "mount": 0}
    counts = {"size": 1, "done": 0, "speed": 0, "beat": 1, "age": 5, "life_ms": 60_000}
    claim = {"path": LARGE.path, "released": False, **counts}
    file = filled.volume / ".prefetch/claims" / f"{LARGE.content.sha256}.99"
    file.write_text("0" * 32 + json.dumps({**claim, "owner": elsewhere}))
    outcome = filled.do("prune", "--yes")
    assert statuses(outcome)[LARGE.path] == "kept"
    assert outcome.models[LARGE.path]["error"] == "process 7 on elsewhere is at work on it"
    assert_whole(filled.volume, [LARGE])


def test_partial_data_goes_when_its_owner_is_known_to_be_gone(commands: Commands, tmp_path: Path) -> None:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=3_000_000)) as origin:
        runs = Runs(commands, origin, tmp_path / "volume", (LARGE,))
        with runs.start("--connections", "1") as owner:
            until(lambda: bool(journals(runs.volume).get(LARGE.path)), "its first block", owner)
            assert statuses(runs.of(KEPT).do("prune", "--yes")) == {LARGE.path: "kept"}
            assert journals(runs.volume)[LARGE.path]
            owner.send_signal(signal.SIGKILL)
            owner.wait()
        assert statuses(runs.do("prune", "--yes")) == {}
        assert statuses(runs.of(KEPT).do("prune")) == {LARGE.path: "removable"}
        assert statuses(runs.of(KEPT).do("prune", "--yes")) == {LARGE.path: "removed"}
    assert not list((tmp_path / "volume/.prefetch/partial").iterdir())


def test_what_was_replaced_goes_only_when_asked_for(runs: Runs) -> None:
    (runs.volume / "models").mkdir(parents=True)
    (runs.volume / LARGE.path).write_bytes(b"somebody's own")
    assert runs.run().returncode == 0
    kept = f".prefetch/replaced/1/{LARGE.path}"
    assert statuses(runs.do("prune", "--yes")) == {}
    assert (runs.volume / kept).read_bytes() == b"somebody's own"
    assert statuses(runs.do("prune", "--replaced")) == {kept: "removable"}
    assert statuses(runs.do("prune", "--replaced", "--yes")) == {kept: "removed"}
    assert not (runs.volume / kept).exists()
    assert_whole(runs.volume, MODELS)


def test_no_manifest_is_no_licence_to_remove_everything(filled: Runs) -> None:
    outcome = filled.commands.run("prune", "--volume", filled.volume, "--yes", "--json")
    assert outcome.returncode == 2
    assert_whole(filled.volume, MODELS)
