"""A real MooseFS, the file system RunPod's volumes are, alive for the length of a ``with``.

Master and chunkserver run in a network namespace of their own (the chunkserver refuses loopback addresses), joined to
this side by a veth pair that can be capped as a volume's link is. Each mount is a client of its own with its own
caches, as another host would be.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.slots import Slot, claimed_slot, tool, tool_environment

__all__ = ["MooseFS", "moosefs_volume"]

MASTER_PORT = 9421
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class MooseFS:
    """A running file system. ``root`` is its first mount."""

    slot: Slot
    _cleanup: ExitStack
    _mounts: list[Path] = field(default_factory=list)
    _running: dict[Path | str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self._mounts[0]

    def mount(self, *options: str) -> Path:
        """Mount the file system once more, with caches of its own, and give the new mount point.

        Args:
            options: as they stand behind ``-o``.
        """
        target = self.slot.mounts / str(len(self._mounts))
        target.mkdir()
        command = ["mfsmount", str(target), "-f", "-H", self.slot.inside_address]
        command += [word for option in options for word in ("-o", option)]
        process = self._cleanup.enter_context(_running(command, log=self.slot.folder / f"mount-{target.name}.log"))
        _wait_for(lambda: _blocks(target) > 0, what="mfsmount", process=process)
        self._mounts.append(target)
        self._running[target] = process
        return target

    @contextmanager
    def frozen(self, mount: Path) -> Iterator[None]:
        """The client of one mount is stopped with all it has not written yet, as that of a frozen host is."""
        self._running[mount].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.thaw(mount)

    def thaw(self, mount: Path) -> None:
        """The client of a mount that was frozen goes on."""
        self._running[mount].send_signal(signal.SIGCONT)

    def start_master(self) -> None:
        """Start the master and wait until clients reach it."""
        master = self._running["mfsmaster"] = _daemon(self.slot, "mfsmaster", self._cleanup)
        address = self.slot.inside_address
        _wait_for(lambda: _accepts(address, MASTER_PORT), what="mfsmaster", process=master)

    def stop_master(self) -> None:
        """End the master, in order: no client gets an answer until it is started again."""
        self._running["mfsmaster"].terminate()
        self._running["mfsmaster"].wait()

    def folder(self, name: str) -> Path:
        """A fresh, empty folder on the first mount."""
        folder = self.root / name
        folder.mkdir()
        return folder

    def cap(self, rate: str) -> None:
        """Hold the link at ``rate`` (as tc writes it: ``1600mbit``) in both directions."""
        shape = ["root", "tbf", "rate", rate, "burst", "1mb", "latency", "50ms"]
        tool("tc", "qdisc", "replace", "dev", self.slot.outside_device, *shape)
        tool("tc", "-n", self.slot.namespace, "qdisc", "replace", "dev", self.slot.inside_device, *shape)

    def uncap(self) -> None:
        """Let the link go as fast as it can; only after `cap`."""
        tool("tc", "qdisc", "delete", "dev", self.slot.outside_device, "root")
        tool("tc", "-n", self.slot.namespace, "qdisc", "delete", "dev", self.slot.inside_device, "root")


@contextmanager
def moosefs_volume(*, space: int) -> Iterator[MooseFS]:
    """Start a file system that is to hold ``space`` bytes, and remove every trace of it at the end, however that comes.

    Raises:
        RuntimeError: less than three times ``space`` is free on the disk (deleted chunks linger), or a daemon ended.
    """
    with claimed_slot() as slot, ExitStack() as cleanup:
        _check_room(slot.folder, space)
        _link(slot)
        _write_configuration(slot)
        filesystem = MooseFS(slot, cleanup)
        filesystem.start_master()
        _daemon(slot, "mfschunkserver", cleanup)
        root = filesystem.mount()
        tool("mfssettrashtime", "-r", "0", root)
        tool("mfssetgoal", "-r", "1", root)
        yield filesystem


def _check_room(folder: Path, space: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 3 * space:
        raise RuntimeError(f"A MooseFS for {space} bytes needs {3 * space} free below {folder}, and {free} are.")


def _link(slot: Slot) -> None:
    tool("ip", "netns", "add", slot.namespace)
    tool("ip", "link", "add", slot.outside_device, "type", "veth", "peer", slot.inside_device, "netns", slot.namespace)
    tool("ip", "address", "add", f"{slot.outside_address}/24", "dev", slot.outside_device)
    tool("ip", "link", "set", slot.outside_device, "up")
    tool("ip", "-n", slot.namespace, "address", "add", f"{slot.inside_address}/24", "dev", slot.inside_device)
    for device in (slot.inside_device, "lo"):
        tool("ip", "-n", slot.namespace, "link", "set", device, "up")


def _write_configuration(slot: Slot) -> None:
    data, chunks, here = slot.folder / "data", slot.folder / "chunks", slot.inside_address
    for folder in (data / "mfsmaster", data / "mfschunkserver", chunks):
        folder.mkdir(parents=True)
    (data / "mfsmaster" / "metadata.mfs").write_text("MFSM NEW")
    (data / "exports").write_text(f"{slot.network} / rw,alldirs,admin,maproot=0:0\n")
    (data / "disks").write_text(f"{chunks}\n")
    _write_settings(
        slot,
        "mfsmaster",
        EXPORTS_FILENAME=data / "exports",
        MATOML_LISTEN_HOST=here,
        MATOCS_LISTEN_HOST=here,
        MATOCL_LISTEN_HOST=here,
    )
    _write_settings(
        slot,
        "mfschunkserver",
        HDD_CONF_FILENAME=data / "disks",
        MASTER_HOST=here,
        BIND_HOST=here,
        CSSERV_LISTEN_HOST=here,
        MASTER_RECONNECTION_DELAY=1,
    )


def _write_settings(slot: Slot, daemon: str, **settings: object) -> None:
    common = {"WORKING_USER": "root", "WORKING_GROUP": "root", "DATA_PATH": slot.folder / "data" / daemon}
    lines = (f"{name} = {value}\n" for name, value in {**common, **settings}.items())
    _configuration(slot, daemon).write_text("".join(lines))


def _configuration(slot: Slot, daemon: str) -> Path:
    return slot.folder / f"{daemon}.cfg"


def _daemon(slot: Slot, name: str, cleanup: ExitStack) -> subprocess.Popen[bytes]:
    command = ["ip", "netns", "exec", slot.namespace, name, "-f", "-c", str(_configuration(slot, name)), "start"]
    return cleanup.enter_context(_running(command, log=slot.folder / f"{name}.log"))


@contextmanager
def _running(command: list[str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in the foreground, in a session of its own so that Ctrl-C reaches us and not it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=tool_environment(),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(ready: Callable[[], bool], *, what: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode} before it was ready.")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready within {START_SECONDS:.0f} s.")
        time.sleep(0.02)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _blocks(mount: Path) -> int:
    """The size ``df`` shows, 0 while no chunkserver has registered or nothing is mounted here."""
    return os.statvfs(mount).f_blocks if os.path.ismount(mount) else 0
