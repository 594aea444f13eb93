"""A numbered place on this machine for one throw-away network file system: its names, its lock, and its removal.

Everything a slot uses (folder, network namespace, devices, addresses) is named after its number, and a flock held for
the owner's life says whether the number is in use. So two test runs can live beside each other, and what a killed one
left behind is found by its number and removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Slot", "claimed_slot", "mount_helpers", "tool", "tool_environment"]

# Not the temporary folder: that may be a tmpfs, and two runs must look in the same place.
BASE = Path("/var/tmp/prefetch-moosefs")
SLOTS = range(16)
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One number and all the names that follow from it."""

    number: int

    @property
    def folder(self) -> Path:
        return BASE / str(self.number)

    @property
    def mounts(self) -> Path:
        return self.folder / "mounts"

    @property
    def namespace(self) -> str:
        return f"prefetch-mfs-{self.number}"

    @property
    def outside_device(self) -> str:
        return f"pfmfs{self.number}out"

    @property
    def inside_device(self) -> str:
        return f"pfmfs{self.number}in"

    @property
    def network(self) -> str:
        return f"10.77.{self.number}.0/24"

    @property
    def outside_address(self) -> str:
        return f"10.77.{self.number}.1"

    @property
    def inside_address(self) -> str:
        return f"10.77.{self.number}.2"

    def sweep(self) -> None:
        """Remove whatever bears this slot's names: mounts, processes, namespace, devices, and last the folder."""
        if not self.folder.exists():
            return
        for mount in _mounts_below(self.mounts):
            _unmount(mount)
        _kill(mount_helpers(self.mounts))
        _kill(int(pid) for pid in _output("ip", "netns", "pids", self.namespace).split())
        _output("ip", "netns", "delete", self.namespace)
        _output("ip", "link", "delete", self.outside_device)
        shutil.rmtree(self.folder)


@contextmanager
def claimed_slot() -> Iterator[Slot]:
    """A slot of one's own, swept before and after. Free slots that a dead owner left full are swept on the way."""
    BASE.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as cleanup:
        mine = _claim(cleanup)
        cleanup.callback(mine.sweep)
        mine.mounts.mkdir(parents=True)
        yield mine


def mount_helpers(folder: Path) -> list[int]:
    """The mfsmount processes that serve mounts below ``folder``: they live outside the namespace, under this title."""
    title = b"mfsmount (mounted on: " + os.fsencode(folder) + b"/"
    return [pid for pid in _pids() if _command_line(pid).startswith(title)]


def tool(*command: str | Path) -> str:
    """Run a system tool to its end and give its output; its own words are in the error."""
    done = _run(*command)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def tool_environment() -> dict[str, str]:
    """The environment with the system tools' folders on PATH, where a plain user's may lack them."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return {**os.environ, "PATH": path}


def _claim(cleanup: ExitStack) -> Slot:
    mine = None
    for slot in map(Slot, SLOTS):
        if mine is not None and not slot.folder.exists():
            continue
        lock = _locked(BASE / f"{slot.number}.lock")
        if lock is None:
            continue
        slot.sweep()
        if mine is None:
            mine = slot
            cleanup.callback(os.close, lock)
        else:
            os.close(lock)
    if mine is None:
        raise RuntimeError(f"All {len(SLOTS)} slots below {BASE} are in use.")
    return mine


def _locked(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _mounts_below(folder: Path) -> list[Path]:
    targets = (Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [target for target in targets if folder in target.parents]


def _unmount(mount: Path) -> None:
    for force in ([], ["--lazy", "--force"]):
        try:
            if _run("umount", *force, mount).returncode == 0:
                return
        except subprocess.TimeoutExpired:
            continue


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill(pids: Iterable[int]) -> None:
    """End processes and wait until they are gone, so that nothing they hold outlives the sweep."""
    killed = list(pids)
    for pid in killed:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + PATIENCE
    while any(_alive(pid) for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _output(*command: str) -> str:
    return _run(*command).stdout


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env=tool_environment(), timeout=PATIENCE
    )
