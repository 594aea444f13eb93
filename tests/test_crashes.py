"""The power fails after any change that a run made to its volume, and the file system keeps what it must, or less."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from prefetch.job import Job
from prefetch.manifest import load_manifests
from prefetch.opening import limits_of
from prefetch.settings import Settings
from prefetch.survey import State, survey
from prefetch.unchanged import still_stands
from prefetch.volume.applied import read_applied
from prefetch.volume.inventory import Inventory
from prefetch.volume.layout import Volume
from tests.support.commands import Commands
from tests.support.crashes import CHOICES, Crash, Disk
from tests.support.faultfs import Change, mounted_faultfs
from tests.support.models import BLOCK, journals, repo_of, wanted, write_manifest
from tests.support.runs import until

pytestmark = pytest.mark.needs("faultfs")

MODELS = LARGE, SMALL, *_ = wanted(2 * BLOCK + 1000, 50_000)
SECOND = "models/second/name.safetensors"
RIGHT = {LARGE.path: LARGE.content.sha256, SMALL.path: SMALL.content.sha256, SECOND: LARGE.content.sha256}
USERS = b"what the user had there before"
ENTRIES = [LARGE.entry(), SMALL.entry(), LARGE.entry(path=SECOND)]
EVERY = 9
"""Of so many states one is given to a whole run."""


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a run which was killed in the middle, and the next one, did to a disk; and what they were told to do."""

    changes: list[Change]
    manifest: Path


@pytest.fixture(scope="module")
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)]) as server:
        yield server


@pytest.fixture(scope="module")
def recording(faultfs_program: Path, origin: DemoServer, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    base = tmp_path_factory.mktemp("recording")
    manifest = write_manifest(base / "m.yaml", ENTRIES)
    with mounted_faultfs(faultfs_program, base / "faultfs") as disk:
        volume = disk.root / "volume"
        there = volume / LARGE.path
        there.parent.mkdir(parents=True)
        there.write_bytes(USERS)
        subprocess.run(["sync", there, there.parent, volume, disk.root], check=True)
        with running_origin(repos=[repo_of(MODELS)], link=Link(pace=8_000_000)) as slow:
            process = _start(base, manifest, volume, slow.endpoint)
            until(lambda: len(journals(volume).get(LARGE.path, ())) >= 1, "the first block", process)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert _start(base, manifest, volume, origin.endpoint).wait() == 0
        for path, sha256 in RIGHT.items():
            assert hashlib.sha256((volume / path).read_bytes()).hexdigest() == sha256
        disk.unmount()
        disk.server.wait()
        return Recording(disk.changes(), manifest)


def _start(base: Path, manifest: Path, volume: Path, endpoint: str) -> subprocess.Popen[str]:
    """A run that says what it has done on the very disk it does it to, so that both are in one order."""
    words = Commands(base).argv("run", manifest, "--volume", volume, "--connections", "2")
    with (volume.parent / "told").open("a") as told:
        return subprocess.Popen(
            words, env=Commands(base).environment({"HF_ENDPOINT": endpoint}), stderr=told, text=True
        )


def reported(disk: Disk) -> set[str]:
    """The models that were said to be there."""
    said = disk.crash(CHOICES[0]).files.get("told", b"").decode()
    return {
        path for path in RIGHT if re.search(rf"^(downloaded|linked|adopted) {re.escape(path)}\b", said, re.MULTILINE)
    }


def states(changes: list[Change]) -> Iterator[tuple[int, str, Crash, set[str]]]:
    """Every state unlike those before it: after which change, by which choice, what is left, what was said by then."""
    disk, seen = Disk(), set()
    begun = False
    for number, change in enumerate(changes):
        disk.apply(change)
        # Before the first run there is only what the test itself has put there.
        begun = begun or ".prefetch" in change.path
        if not begun:
            continue
        said = reported(disk)
        for choice in (*CHOICES, disk.drawn(), disk.drawn()):
            crash = disk.crash(choice)
            key = hash((frozenset(crash.files.items()), crash.directories, frozenset(said)))
            if key not in seen:
                seen.add(key)
                yield number, choice.name, crash, said


def believe(volume: Path) -> None:
    """Give every model the very time its record has: the worst that could happen to a file that is not right."""
    state = volume / ".prefetch"
    for file in (*(state / "inventory").glob("*.json"), *(state / "applied").glob("*.json")):
        try:
            document = json.loads(file.read_bytes())
        except ValueError:
            continue
        for record in document.get("records") or document.get("models") or [document]:
            if (volume / record["path"]).exists():
                os.utime(volume / record["path"], (record["mtime"], record["mtime"]))


def check(volume: Path, manifest: Path, said: set[str]) -> None:
    """Nothing wrong stands there, nothing that was said to be there is missing, and the user's file is somewhere."""
    found = {path: (volume / path).read_bytes() for path in RIGHT if (volume / path).exists()}
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in found.items()}
    right = {path for path in found if hashes[path] == RIGHT[path]}
    assert {path for path in found if found[path] != USERS} == right, "a wrong file"
    assert said <= right, "it was said to be there"
    kept = [file.read_bytes() for file in (volume / ".prefetch/replaced").rglob("*") if file.is_file()]
    assert USERS in (*found.values(), *kept), "the user's file is lost"
    assert thought(volume, manifest) <= right, "it is thought to be there"


def thought(volume: Path, manifest: Path) -> set[str]:
    """The models that a run would take for being there without a look at their bytes."""
    opened, known = Volume.open(volume), load_manifests([manifest])
    assert known.inputs is not None
    applied = read_applied(opened, known.inputs.key)
    models = [] if applied is None else applied.models
    there = {model["path"] for model in models if still_stands(opened, [model])}
    standings = survey(known.entries, opened, Inventory(opened), applied=models)
    return there | {standing.path for standing in standings if standing.state is State.PRESENT}


def finish(volume: Path, manifest: Path) -> None:
    """The next run brings it to its end."""
    # A claim that was torn is only waited for, for as long as its life is.
    shutil.rmtree(volume / ".prefetch/claims", ignore_errors=True)
    job = Job(
        load_manifests([manifest]),
        Volume.open(volume),
        limits=limits_of(Settings()),
        refresh=False,
        listener=lambda event: None,
    )
    result = asyncio.run(job.run())
    assert result.exit_code == 0, result.to_json()
    for path, sha256 in RIGHT.items():
        assert hashlib.sha256((volume / path).read_bytes()).hexdigest() == sha256
    kept = [file.read_bytes() for file in (volume / ".prefetch/replaced").rglob("*") if file.is_file()]
    assert kept == [USERS]


def test_wherever_the_power_fails_nothing_is_wrong_and_nothing_reported_is_lost(
    recording: Recording, origin: DemoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", origin.endpoint)
    counted = 0
    for number, choice, crash, said in states(recording.changes):
        root = tmp_path / "disk"
        crash.write(root)
        volume = root / "volume"
        try:
            believe(volume)
            check(volume, recording.manifest, said)
            if counted % EVERY == 0:
                finish(volume, recording.manifest)
        except AssertionError as error:
            error.add_note(f"after change {number}, {recording.changes[number].operation}: {choice}")
            raise
        counted += 1
        shutil.rmtree(root)
    assert counted > 200


def test_what_a_finished_run_reported_survives_whatever_was_not_synced(recording: Recording, tmp_path: Path) -> None:
    disk = Disk()
    for change in recording.changes:
        disk.apply(change)
    assert reported(disk) == set(RIGHT)
    crash = disk.crash(CHOICES[1])
    hashes = {path: hashlib.sha256(crash.files[f"volume/{path}"]).hexdigest() for path in RIGHT}
    assert hashes == RIGHT
