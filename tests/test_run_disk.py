"""A volume whose calls fail, or that changes under the run: a sentence, the exit code, and the next run goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands, Outcome
from tests.support.faultfs import FaultFS, Rule
from tests.support.models import BLOCK, asked_blocks, assert_never_wrong, assert_whole, journals, repo_of, wanted
from tests.support.runs import Runs, since, until

MODELS = wanted(6 * BLOCK + 1, 50_000)
MODEL, SMALL = MODELS
BLOCKS = frozenset(range(7))


@pytest.fixture
def runs(commands: Commands, origin: DemoServer, faultfs: FaultFS) -> Runs:
    return Runs(commands, origin, faultfs.root / "volume", tuple(MODELS))


DATA, JOURNAL = "*/partial/*.data", "*/partial/*.journal"

FAILING: list[tuple[Rule, int, str, bool]] = [
    # What fails, the exit code, what the sentence says, and whether the large model stands there all the same.
    (Rule("write", DATA, "ENOSPC", 5), 4, "No space left while writing models/m0", False),
    (Rule("write", DATA, "EDQUOT", 5), 4, "writing models/m0.*quota exceeded", False),
    (Rule("write", DATA, "EIO", 5), 1, "failed while writing models/m0.*Input/output", False),
    (Rule("write", JOURNAL, "ENOSPC", 4), 4, "No space left while writing models/m0", False),
    (Rule("truncate", DATA, "EDQUOT"), 4, "opening the partial file of models/m0.*quota exceeded", False),
    (Rule("fsync", DATA, "EIO"), 1, "bringing models/m0.*to the disk", False),
    (Rule("close", DATA, "EDQUOT"), 4, "closing the partial file of models/m0.*quota exceeded", False),
    (Rule("rename", "*/models/m0*", "EIO"), 1, "moving models/m0.*into its place", False),
    (Rule("fsyncdir", "*/models", "EIO"), 1, "moving models/m.*into its place", True),
    (Rule("mkdir", "*/models", "EACCES"), 1, "making the directory of models/m.*Permission", False),
    (Rule("create", "*/claims/*", "EDQUOT"), 4, "claiming .*quota exceeded", False),
    (Rule("create", "*/partial/*", "EROFS"), 1, "Read-only", False),
    (Rule("write", "*/tmp/*.json*", "ENOSPC"), 4, "No space left while recording models", True),
    (Rule("rename", "*/inventory/*", "EIO"), 1, "recording models", True),
]


IDS = [f"{rule.operation} {rule.glob} {rule.error}" for rule, *_ in FAILING]


@pytest.mark.parametrize(("rule", "code", "said", "here"), FAILING, ids=IDS)
def test_a_volume_that_fails(
    runs: Runs, origin: DemoServer, faultfs: FaultFS, rule: Rule, code: int, said: str, here: bool
) -> None:
    faultfs.fail(rule)
    outcome = runs.run()
    faultfs.behave()
    assert outcome.returncode == code, outcome.stderr
    assert outcome.document["error"]["code"] == {1: "volume", 4: "space"}[code], outcome.stdout
    assert re.search(said, outcome.document["error"]["message"]), outcome.document["error"]["message"]
    assert (runs.volume / MODEL.path).exists() == here
    assert_never_wrong(runs.volume, MODELS)
    finished, before = journals(runs.volume).get(MODEL.path, set()), len(origin.requests)

    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)
    assert not (BLOCKS if here else finished) & asked_blocks(since(origin, before), MODEL)
    assert list((runs.volume / ".prefetch/partial").iterdir()) == []


# The volume changes under the run ------------------------------------------------------------------------------------


@pytest.fixture
def slow(runs: Runs, origin: DemoServer) -> Iterator[Runs]:
    """Runs that take their time from the third block on."""
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=6_000_000)) as paced:
        yield replace(runs, origin=paced)


def until_begun(runs: Runs, process: subprocess.Popen[str]) -> None:
    until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 2, "the second block", process)


def ended(process: subprocess.Popen[str]) -> Outcome:
    stdout, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    return Outcome(process.returncode, stdout, stderr)


def assert_resumes(runs: Runs, finished: set[int]) -> None:
    before = len(runs.origin.requests)
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert_whole(runs.volume, MODELS)
    assert not finished & asked_blocks(since(runs.origin, before), MODEL)


def test_a_volume_that_is_unmounted_half_way(slow: Runs, faultfs: FaultFS) -> None:
    slow.volume.mkdir()
    slow = slow.on(faultfs.root)
    with slow.start("--connections", "2") as process:
        until_begun(slow, process)
        faultfs.unmount()
        outcome = ended(process)
    assert outcome.returncode == 1, outcome.stderr
    assert "unmounted" in outcome.models[MODEL.path]["error"]
    assert list(faultfs.root.iterdir()) == [], "it went on in the folder below the mount point"
    moved = faultfs.behind.with_name("volume")
    faultfs.behind.rename(moved)
    resumed = slow.on(moved)
    finished = journals(moved)[MODEL.path]
    assert len(finished) >= 2
    assert_resumes(resumed, finished)


def test_a_directory_that_becomes_a_link_half_way(slow: Runs, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with slow.start("--connections", "2") as process:
        until(lambda: (slow.volume / SMALL.path).exists(), "the small model", process)
        until_begun(slow, process)
        (slow.volume / "models").rename(slow.volume / "moved")
        (slow.volume / "models").symlink_to(outside)
        outcome = ended(process)
    assert outcome.returncode == 1, outcome.stderr
    assert "models is a symbolic link that leads to" in outcome.models[MODEL.path]["error"]
    assert list(outside.iterdir()) == [], "something was written through the link"
    (slow.volume / "models").unlink()
    (slow.volume / "moved").rename(slow.volume / "models")
    assert_resumes(slow, set(BLOCKS))


def test_a_directory_that_becomes_unwritable_half_way(slow: Runs, faultfs: FaultFS) -> None:
    with slow.start("--connections", "2") as process:
        until_begun(slow, process)
        faultfs.fail(*(Rule(call, "*", "EACCES") for call in ("create", "rename", "link", "mkdir", "unlink")))
        outcome = ended(process)
    assert outcome.returncode == 1, outcome.stderr
    assert "Permission denied" in outcome.models[MODEL.path]["error"]
    faultfs.behave()
    assert_resumes(slow, set(BLOCKS))


def test_a_volume_that_becomes_read_only_half_way(slow: Runs, faultfs: FaultFS) -> None:
    with slow.start("--connections", "2") as process:
        until_begun(slow, process)
        finished = journals(slow.volume)[MODEL.path]
        faultfs.fail(*(Rule(call, "*", "EROFS") for call in ("write", "create", "rename", "link", "mkdir", "unlink")))
        outcome = ended(process)
    assert outcome.returncode == 1, outcome.stderr
    assert "Read-only" in outcome.models[MODEL.path]["error"]
    faultfs.behave()
    assert_resumes(slow, finished)


def test_a_volume_without_owners_and_modes(runs: Runs, faultfs: FaultFS) -> None:
    """What a network file system refuses to a client whose root it does not trust."""
    faultfs.fail(*(Rule(call, "*", "EPERM") for call in ("chown", "chmod", "utimens")))
    assert_resumes(runs, set())


# What the disk has lost ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [True, False], ids=["of a model that was placed", "of a model that was found"])
def test_what_the_disk_has_lost(runs: Runs, origin: DemoServer, faultfs: FaultFS, recorded: bool) -> None:
    """Two bytes of one model can be read no more: it is said where, and no more is fetched than their blocks."""
    assert runs.run().returncode == 0
    if not recorded:
        shutil.rmtree(runs.volume / ".prefetch")
    lost = [2 * BLOCK + 5, 3 * BLOCK + 7]
    faultfs.fail(*(Rule("lost", f"*/{MODEL.path}", "EIO", byte) for byte in lost))
    found = runs.do("verify")
    assert found.returncode == 1
    assert found.models[MODEL.path]["status"] == "corrupt"
    assert f"2 of 7 blocks differ (bytes {2 * BLOCK}-{4 * BLOCK - 1})" in found.models[MODEL.path]["error"]
    assert found.models[SMALL.path]["status"] == "ok"

    before = len(origin.requests)
    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert asked_blocks(since(origin, before), MODEL) == ({2, 3} if recorded else BLOCKS)
    faultfs.behave()
    assert_whole(runs.volume, MODELS)


def test_a_volume_that_cannot_be_read_is_no_damage(runs: Runs, faultfs: FaultFS) -> None:
    assert runs.run().returncode == 0
    faultfs.fail(Rule("open", f"*/{MODEL.path}", "EACCES"))
    found = runs.do("verify")
    assert found.returncode == 1
    assert found.models[MODEL.path]["status"] == "unverified"
    assert "Permission denied" in found.models[MODEL.path]["error"]
    faultfs.behave()
    assert runs.do("verify").returncode == 0


def test_damage_on_a_volume_that_may_only_be_read_is_told(runs: Runs, faultfs: FaultFS) -> None:
    assert runs.run().returncode == 0
    file = runs.volume / MODEL.path
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(BLOCK)
        opened.write(b"damage")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    faultfs.fail(*(Rule(call, "*", "EROFS") for call in ("write", "create", "rename", "mkdir", "unlink")))
    found = runs.do("verify")
    assert found.returncode == 1
    assert found.models[MODEL.path]["status"] == "corrupt"
    assert "1 of 7 blocks differ" in found.models[MODEL.path]["error"]
    assert "could not be noted" in found.models[MODEL.path]["error"]
    os.utime(file, (before.st_atime, before.st_mtime + 10))
    assert "could not be noted" not in runs.do("verify").models[MODEL.path]["error"], "its time tells the next run"


REFUSING = ("write", "create", "rename", "link", "mkdir", "unlink")


@pytest.mark.parametrize(
    ("refusal", "unknown"),
    [
        ("EROFS", "its manifest"),
        ("EROFS", "the models too"),
        ("EROFS", "the hashes too"),
        ("EACCES", "the models too"),
        ("ENOSPC", "its manifest"),
    ],
)
def test_models_that_are_there_need_nothing_written(
    runs: Runs, origin: DemoServer, faultfs: FaultFS, refusal: str, unknown: str
) -> None:
    """Whatever of them is not recorded on a volume that takes no record: all well, and that none was made is said."""
    assert runs.run().returncode == 0
    records = list((runs.volume / ".prefetch/applied").iterdir())
    if unknown != "its manifest":
        records += (runs.volume / ".prefetch/inventory").iterdir()
    for record in records:
        record.unlink()
    entries = None if unknown != "the hashes too" else [model.entry(sha256=None, size=None) for model in MODELS]
    faultfs.fail(*(Rule(call, "*", refusal) for call in REFUSING))
    outcome = runs.run(entries=entries)
    assert outcome.returncode == 0, outcome.stderr
    status = "present" if unknown == "its manifest" else "adopted"
    assert {model["status"] for model in outcome.document["models"]} == {status}
    assert outcome.stderr.count("is not recorded, so the next run looks again: ") == 1, outcome.stderr


def test_a_model_that_is_missing_where_nothing_can_be_written(runs: Runs, origin: DemoServer, faultfs: FaultFS) -> None:
    assert runs.of(SMALL).run().returncode == 0
    faultfs.fail(*(Rule(call, "*", "EROFS") for call in REFUSING))
    before = len(origin.requests)
    outcome = runs.run()
    assert (outcome.returncode, outcome.document["error"]["code"]) == (1, "volume")
    assert "Mount the volume for writing" in outcome.stderr
    assert asked_blocks(since(origin, before), MODEL) == set()


def test_a_verify_that_loses_its_volume_does_not_call_the_models_missing(runs: Runs, faultfs: FaultFS) -> None:
    assert runs.run().returncode == 0
    faultfs.fail(Rule("getattr", "*/models/*", "ENOTCONN"))
    found = runs.do("verify")
    assert found.returncode == 1
    assert {model["status"] for model in found.document["models"]} == {"unverified"}
    assert found.document["error"]["code"] == "volume"
