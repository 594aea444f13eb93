"""The real MooseFS that other tests and the benchmark stand on: it is one, can be capped, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.moosefs import MooseFS, moosefs_volume
from tests.support.slots import Slot, claimed_slot, mount_helpers

HOLD_ONE = """
import time
from tests.support.moosefs import moosefs_volume
with moosefs_volume(space=1) as filesystem:
    print(filesystem.slot.number, flush=True)
    time.sleep(60)
"""


def write_synced(path: Path, data: bytes) -> float:
    started = time.monotonic()
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - started


def held_by_another_process() -> tuple[subprocess.Popen[str], Slot]:
    process = subprocess.Popen([sys.executable, "-c", HOLD_ONE], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Slot(int(process.stdout.readline()))


def traces(slot: Slot) -> list[str]:
    found = [str(slot.folder)] if slot.folder.exists() else []
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{slot.folder}/" in line]
    found += [f"/run/netns/{slot.namespace}"] if Path("/run/netns", slot.namespace).exists() else []
    found += [slot.outside_device] if Path("/sys/class/net", slot.outside_device).exists() else []
    return found + [f"mfsmount {pid}" for pid in mount_helpers(slot.mounts)]


def test_it_is_moosefs(moosefs: MooseFS) -> None:
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    assert [line for line in mounts if f" {moosefs.root} " in line and " - fuse mfs" in line], mounts


def test_a_rename_is_seen_through_another_mount(moosefs: MooseFS) -> None:
    folder = moosefs.folder("rename")
    data = os.urandom(1_000_003)
    write_synced(folder / "partial", data)
    (folder / "partial").rename(folder / "model")
    elsewhere = moosefs.mount() / "rename"
    assert [path.name for path in elsewhere.iterdir()] == ["model"]
    assert (elsewhere / "model").read_bytes() == data


def test_the_cap_holds(moosefs: MooseFS) -> None:
    folder = moosefs.folder("cap")
    moosefs.cap("200mbit")
    try:
        seconds = write_synced(folder / "a", os.urandom(20_000_000))
    finally:
        moosefs.uncap()
    assert seconds > 0.6, "20 MB at 25 MB/s, less what the burst lets through"
    assert write_synced(folder / "b", os.urandom(2_000_000)) < 20


def test_two_stand_beside_each_other_and_ctrl_c_removes_one(moosefs: MooseFS) -> None:
    process, slot = held_by_another_process()
    with process:
        assert slot.number != moosefs.slot.number
        assert len(traces(slot)) == 5
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert traces(slot) == []
    assert os.statvfs(moosefs.root).f_blocks > 0


def test_what_a_killed_run_left_is_removed_by_the_next(moosefs: MooseFS) -> None:
    process, slot = held_by_another_process()
    with process:
        process.kill()
    assert len(traces(slot)) == 5
    with claimed_slot():
        pass
    assert traces(slot) == []


def test_too_little_disk_is_refused(moosefs: MooseFS) -> None:
    with pytest.raises(RuntimeError, match="free below"), moosefs_volume(space=10**18):
        pass
