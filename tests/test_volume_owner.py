"""A process is only taken for dead when that is proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefetch.volume.owner import Owner

ME = "from prefetch.volume.owner import Owner; import json; print(json.dumps(Owner.current().to_json()), flush=True)"

LEADER_EXITS = """
import ctypes, os, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
EXIT_THIS_THREAD = {"x86_64": 60, "aarch64": 93}
ctypes.CDLL(None).syscall(EXIT_THIS_THREAD[os.uname().machine], 0)
"""


def owner_of(process: subprocess.Popen[bytes]) -> Owner:
    assert process.stdout is not None
    owner = Owner.from_json(json.loads(process.stdout.readline()))
    assert owner is not None
    return owner


def start(then: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", f"{ME}\n{then}"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def test_this_process_lives() -> None:
    me = Owner.current()
    assert me.here
    assert not me.proven_dead()
    assert me.pid == os.getpid()
    assert me == Owner.current() == Owner.from_json(me.to_json())


def test_it_is_one_owner_in_every_thread() -> None:
    found: list[Owner] = []
    thread = threading.Thread(target=lambda: found.append(Owner.current()))
    thread.start()
    thread.join()
    assert found == [Owner.current()]


def test_a_process_is_dead_once_it_is_gone() -> None:
    with start("input()") as process:
        owner = owner_of(process)
        assert not owner.proven_dead()
        process.kill()
        process.wait()
        assert owner.proven_dead()


def test_a_zombie_writes_nothing_more() -> None:
    with start("") as process:
        owner = owner_of(process)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner.proven_dead()


def test_a_zombie_whose_other_threads_run_is_alive() -> None:
    with start(LEADER_EXITS) as process:
        owner = owner_of(process)
        deadline = time.monotonic() + 10
        while b") Z" not in Path(f"/proc/{process.pid}/stat").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not owner.proven_dead()
        process.kill()


def test_a_number_given_to_another_process_is_no_sign_of_life() -> None:
    me = Owner.current()
    assert replace(me, started=me.started + 1).proven_dead()


@pytest.mark.parametrize(
    "change",
    [{"host": "elsewhere"}, {"boot_id": "another"}, {"pid_namespace": 1}, {"started": 0}],
    ids=lambda change: next(iter(change)),
)
def test_what_cannot_be_known_is_not_dead(change: dict[str, object]) -> None:
    with start("") as process:
        owner = owner_of(process)
    assert owner.proven_dead()
    assert not replace(owner, **change).proven_dead()  # type: ignore[arg-type]


@pytest.mark.parametrize("pid", [0, 2**80])
def test_a_number_no_process_can_have_proves_nothing(pid: int) -> None:
    assert not replace(Owner.current(), pid=pid).proven_dead()


def test_an_owner_of_an_unknown_boot_is_not_here() -> None:
    assert not Owner("", "", 0, 1, 1).here


def test_another_mount_of_the_same_host_may_still_write() -> None:
    me = Owner.current(mount=7)
    assert me.wrote_through(7)
    assert not me.wrote_through(8)
    assert not replace(me, host="elsewhere").wrote_through(7)


def test_a_pod_has_one_container_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_POD_ID", "pod1")
    me = Owner.current()
    before = replace(me, host="another name", pid_namespace=1)
    assert not me.gone()
    assert before.gone()
    assert replace(before, boot_id="another host").gone()
    assert not before.proven_dead(), "good enough for a claim, not for what it wrote"
    others: list[dict[str, Any]] = [{"pod": "pod2"}, {"pod": ""}, {"boot_id": ""}, {"pid_namespace": 0}]
    for other in others:
        assert not replace(before, **other).gone()
    monkeypatch.delenv("RUNPOD_POD_ID")
    assert not before.gone()
