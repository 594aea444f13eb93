"""SIGINT, SIGTERM, SIGHUP: the end within a second, the document all the same, and the next run goes on from there."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from prefetch.demo.actions import IgnoreRange
from prefetch.demo.faults import Fault
from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands, Outcome
from tests.support.models import BLOCK, asked_blocks, assert_whole, journals, repo_of, wanted, write_manifest
from tests.support.runs import Runs, since, until

MODELS = wanted(16 * BLOCK + 5, 50_000)
MODEL = MODELS[0]
PROMPT = 2.0
"""Seconds: it should be one, and the machine may be busy with other things."""
SPARSE = 30_000_000_000
"""Bytes of a file that takes no room on the disk and many seconds to read."""

all_three = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["SIGINT", "SIGTERM", "SIGHUP"]
)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=10_000_000)) as server:
        yield server


def stopped(process: subprocess.Popen[str], number: int) -> Outcome:
    """Send the signal and collect what the process does about it, in time."""
    process.send_signal(number)
    began = time.monotonic()
    stdout, stderr = process.communicate(timeout=20)
    took = time.monotonic() - began
    outcome = Outcome(process.returncode, stdout, stderr)
    assert took < PROMPT, f"it took {took:.1f} s"
    assert "Traceback" not in stderr, stderr
    assert outcome.returncode == 130, stderr
    document = outcome.document
    assert (document["ok"], document["exit_code"], document["error"]["code"]) == (False, 130, "interrupted")
    assert "run the same command again" in document["error"]["message"]
    assert "run the same command again" in stderr
    return outcome


@all_three
def test_stopped_in_the_middle_it_keeps_what_it_has(runs: Runs, origin: DemoServer, number: int) -> None:
    with runs.start("--connections", "3") as process:
        until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 3, "the third block", process)
        outcome = stopped(process, number)
    finished, before = journals(runs.volume)[MODEL.path], len(origin.requests)
    assert outcome.document["volume"] == str(runs.volume)
    assert outcome.document["bytes_downloaded"] >= 3 * BLOCK
    assert outcome.models[MODEL.path]["status"] == "failed"
    assert outcome.models[MODEL.path]["bytes_downloaded"] >= 3 * BLOCK
    assert len(finished) >= 3
    assert not (runs.volume / MODEL.path).exists()
    claims = list((runs.volume / ".prefetch/claims").iterdir())
    assert claims and all('"released":true' in claim.read_text() for claim in claims)
    assert history(runs) == ["interrupted"]

    outcome = runs.run()
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.models[MODEL.path]["bytes_resumed"] == len(finished) * BLOCK
    assert not finished & asked_blocks(since(origin, before), MODEL)
    assert_whole(runs.volume, MODELS)


def test_stopped_where_a_host_sends_no_ranges(runs: Runs, origin: DemoServer) -> None:
    """Each connection that ends early would have the file begun anew."""
    origin.add_faults(Fault(do=IgnoreRange(), server="cdn", times=None))
    with runs.start() as process:
        until(lambda: bool(journals(runs.volume).get(MODEL.path)), "the first block", process)
        assert stopped(process, signal.SIGINT).document["bytes_downloaded"] > 0
    assert not (runs.volume / MODEL.path).exists()


def history(runs: Runs) -> list[str]:
    """The errors of the runs before, as the volume tells of them."""
    told = runs.commands.run("status", "--history", "--volume", runs.volume, "--json").document
    return [run["code"] for run in told["history"]]


def reads(process: subprocess.Popen[str], file: Path) -> bool:
    try:
        return any(number.readlink() == file for number in Path(f"/proc/{process.pid}/fd").iterdir())
    except FileNotFoundError:
        # It closed one of them just now.
        return False


@all_three
@pytest.mark.parametrize("command", ["run", "verify"])
def test_stopped_while_it_reads_a_large_file(commands: Commands, tmp_path: Path, command: str, number: int) -> None:
    volume = tmp_path / "volume"
    file = volume / "models/large.dat"
    file.parent.mkdir(parents=True)
    file.touch()
    os.truncate(file, SPARSE)
    entry = {"path": "models/large.dat", "source": "hf://acme/models/large.dat", "sha256": "0" * 64, "size": SPARSE}
    manifest = write_manifest(tmp_path / "m.yaml", [entry])
    with commands.start(command, manifest, "--volume", volume, "--json") as process:
        until(lambda: reads(process, file), "the reading", process)
        outcome = stopped(process, number)
    assert outcome.models["models/large.dat"]["status"] == ("failed" if command == "run" else "unverified")
    assert "run the same command again" in outcome.models["models/large.dat"]["error"]
    assert file.stat().st_size == SPARSE


def test_stopped_at_any_moment_it_says_so(runs: Runs) -> None:
    """From the imports to the first bytes."""
    for delay in (0.0, 0.2, 0.5, 0.9, 1.3):
        with runs.start("--limit-rate", "10M") as process:
            until(partial(handles, process, signal.SIGTERM), "the start")
            time.sleep(delay)
            stopped(process, signal.SIGTERM)


def handles(process: subprocess.Popen[str], number: int) -> bool:
    """Whether the process has a handler of its own for the signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_terminal_that_closes_ends_it_as_gracefully(runs: Runs) -> None:
    """By then what it tells has nowhere to go."""
    ours, theirs = pty.openpty()
    command = runs.commands.argv(*runs.words("run", ["--connections", "3"]))
    env = runs.commands.environment(runs.environment())
    take_terminal = partial(fcntl.ioctl, theirs, termios.TIOCSCTTY, 0)
    process = subprocess.Popen(
        command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=take_terminal
    )
    os.close(theirs)
    try:
        until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 3, "the third block")
        os.close(ours)
        assert process.wait(timeout=20) == 130
    finally:
        process.kill()
        process.wait()
    (claim,) = (runs.volume / ".prefetch/claims").glob("[0-9a-f]*.1")
    assert '"released":true' in claim.read_text()
    assert history(runs) == ["interrupted"]


def test_under_nohup_it_goes_on(runs: Runs) -> None:
    behind = replace(runs, commands=replace(runs.commands, prefix=("nohup",)))
    with behind.start("--connections", "3") as process:
        until(lambda: len(journals(runs.volume).get(MODEL.path, ())) >= 3, "the third block", process)
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert_whole(runs.volume, MODELS)
