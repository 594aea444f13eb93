"""Several hosts on one real MooseFS: frozen mounts, a master that is away, clocks that differ, locks that lie."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from prefetch.demo.server import DemoServer, running_origin
from prefetch.demo.wire import Link
from tests.support.commands import Commands
from tests.support.hosts import on_host
from tests.support.models import BLOCK, assert_whole, journals, repo_of, wanted
from tests.support.moosefs import MooseFS
from tests.support.runs import Runs, until

MODELS = wanted(6 * BLOCK + 1, 4 * BLOCK, 3 * BLOCK, 70_000, 50_000)
TOTAL = sum(model.content.size for model in MODELS)
LARGE = MODELS[0]
LIFE = 3.0
TTL = ("--claim-ttl", "3")

pytestmark = pytest.mark.needs("mounts", "moosefs")


@dataclass(frozen=True, slots=True)
class Hosts:
    """The same runs from two hosts, each with a mount of its own."""

    here: Runs
    there: Runs
    mount: Path

    def of(self, *models: Any) -> Hosts:
        """The same with other models."""
        return Hosts(self.here.of(*models), self.there.of(*models), self.mount)


@pytest.fixture
def origin() -> Iterator[DemoServer]:
    with running_origin(repos=[repo_of(MODELS)], link=Link(pace=5_000_000)) as server:
        yield server


@pytest.fixture(scope="module")
def second_mount(moosefs: MooseFS) -> Path:
    """The other host's mount; its locks are its own, whatever other mounts have locked."""
    return moosefs.mount("mfsnobsdlocks", "mfsnoposixlocks")


@pytest.fixture
def hosts(
    commands: Commands, origin: DemoServer, moosefs: MooseFS, second_mount: Path, request: pytest.FixtureRequest
) -> Hosts:
    folder = moosefs.folder(request.node.name)
    here = Runs(commands, origin, folder, tuple(MODELS))
    there = replace(here, commands=on_host(commands, "elsewhere"), volume=second_mount / folder.name)
    return Hosts(here, there, second_mount)


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    stdout, stderr = process.communicate(timeout=60)
    assert stdout, stderr
    return process.returncode, json.loads(stdout)


def has_begun(runs: Runs) -> bool:
    return bool(journals(runs.volume).get(LARGE.path))


def assert_only_the_models(runs: Runs) -> None:
    assert_whole(runs.volume, runs.models)
    assert not (runs.volume / ".prefetch/replaced").exists()
    assert not list((runs.volume / ".prefetch/partial").iterdir())


def test_two_hosts_share_the_work_where_locks_lie(hosts: Hosts) -> None:
    locks = [open(runs.volume / "lock", "a") for runs in (hosts.here, hosts.there)]  # noqa: SIM115
    for lock in locks:
        # Both get it: this file system lies.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with hosts.here.start() as one, hosts.there.start() as two:
        results = [ended(one), ended(two)]
    assert [code for code, _ in results] == [0, 0], results
    assert hosts.here.sent() <= 1.02 * TOTAL
    assert_only_the_models(hosts.here)
    assert_only_the_models(hosts.there)
    for lock in locks:
        lock.close()


def test_a_frozen_hosts_cache_reaches_nothing_that_was_published(hosts: Hosts, moosefs: MooseFS) -> None:
    hosts = hosts.of(LARGE)
    with hosts.there.start(*TTL, "--connections", "4") as sleeper:
        until(lambda: has_begun(hosts.here), "its first block", sleeper)
        # So slow that its mount has more to write than it could.
        moosefs.cap("16mbit")
        sent = hosts.here.sent()
        until(lambda: hosts.here.sent() >= min(sent + 2 * BLOCK, LARGE.content.size), "two more blocks", sleeper)
        with moosefs.frozen(hosts.mount), hosts.here.start(*TTL) as heir:
            moosefs.uncap()
            # A process that reads what is being written back there cannot end meanwhile, whatever is published.
            until(lambda: (hosts.here.volume / LARGE.path).exists(), "the model", heir)
            assert_whole(hosts.here.volume, [LARGE])
            published = (hosts.here.volume / LARGE.path).stat()
            moosefs.thaw(hosts.mount)
            results = [ended(heir), ended(sleeper)]
    assert [code for code, _ in results] == [0, 0], results
    assert [document["models"][0]["status"] for _, document in results] == ["downloaded", "present"]
    for runs in (hosts.here, hosts.there):
        assert_only_the_models(runs)
    assert (hosts.here.volume / LARGE.path).stat().st_ino == published.st_ino


def test_nobody_looks_dead_while_the_master_is_away(hosts: Hosts, moosefs: MooseFS) -> None:
    hosts = hosts.of(LARGE)
    options = (*TTL, "--limit-rate", "4M", "--log-format", "json")
    with hosts.there.start(*options) as owner:
        until(lambda: has_begun(hosts.here), "its first block", owner)
        with hosts.here.start(*options) as other:
            assert other.stderr is not None
            assert any('"waiting"' in line for line in other.stderr), "it did not wait"
            moosefs.stop_master()
            time.sleep(1.5 * LIFE)
            moosefs.start_master()
            outputs = [process.communicate(timeout=60) for process in (owner, other)]
    assert [json.loads(stdout)["exit_code"] for stdout, _ in outputs] == [0, 0], outputs
    assert not [stderr for _, stderr in outputs if "no sign of life" in stderr]
    assert_only_the_models(hosts.here)
    # What its owner was at when it stopped, and no more.
    assert hosts.here.sent() <= LARGE.content.size + 4 * 2 * BLOCK


@pytest.mark.needs("faketime")
@pytest.mark.parametrize("ahead", ["+1h", "-1h"])
def test_clocks_that_differ_by_an_hour(hosts: Hosts, ahead: str) -> None:
    commands = hosts.there.commands
    prefix = (*commands.prefix, "faketime", "-f", ahead)
    # The times of files are the file system's own, whatever clock a host has.
    other = replace(hosts.there, commands=replace(commands, prefix=prefix, env={"NO_FAKE_STAT": "1"}))
    with hosts.here.start() as one, other.start() as two:
        results = [ended(one), ended(two)]
    assert [code for code, _ in results] == [0, 0], results
    assert hosts.here.sent() <= 1.02 * TOTAL
    assert_only_the_models(hosts.here)
    verified = other.do("verify", "--quick")
    assert verified.returncode == 0, verified.stderr


def test_a_pod_that_was_restarted_need_not_wait_for_itself(hosts: Hosts) -> None:
    hosts = hosts.of(LARGE)
    pod, other_pod = (
        replace(hosts.there, commands=on_host(hosts.here.commands, "container", RUNPOD_POD_ID=name))
        for name in ("pod1", "pod2")
    )
    with pod.start("--connections", "2") as killed:
        until(lambda: len(journals(pod.volume).get(LARGE.path, ())) >= 2, "two blocks", killed)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    assert other_pod.run("--no-wait").returncode == 5
    again = pod.run("--no-wait")
    assert again.returncode == 0, again.stderr
    assert again.models[LARGE.path]["bytes_resumed"] >= 2 * BLOCK
    assert_whole(hosts.here.volume, [LARGE])
