"""A place with names, and where it is wanted a network, of its own: what runs there sees no others."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Place", "inside_network", "place", "place_with_dead_end"]

_WITH_NAMES = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
_WITH_DEAD_END = " && ".join(
    [
        "ip link set lo up",
        "ip link add here type veth peer nowhere",
        "ip link set here up",
        "ip link set nowhere up",
        # Without an address of each kind, names are not looked up for it.
        "ip address add 192.0.2.1/24 dev here",
        'ip address add "$1" dev here nodad',
        'ip neighbour add "$2" dev here lladdr 02:00:00:00:00:01',
        "echo ready",
        "exec sleep 600",
    ]
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where only the names in one file are known.

    Attributes:
        network: the process whose network it has; None for this machine's.
    """

    hosts: Path
    nsswitch: Path
    network: int | None = None

    def know(self, *lines: str) -> None:
        """Know these names from now on, as lines of /etc/hosts."""
        # In place: a bind mount shows the very file.
        self.hosts.write_text("".join(f"{line}\n" for line in lines))

    def words(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` there."""
        enter = [] if self.network is None else ["nsenter", f"--net=/proc/{self.network}/ns/net"]
        names = ["sh", "-c", _WITH_NAMES, "sh", str(self.hosts), str(self.nsswitch)]
        return [*enter, "unshare", "--mount", *names, *argv]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Have the threads and sockets that this thread makes belong to the place's network."""
        assert self.network is not None
        with inside_network(self.network):
            yield


def place(folder: Path) -> Place:
    """A place with this machine's network, whose files are in ``folder``; it knows no name yet."""
    hosts, nsswitch = folder / "hosts", folder / "nsswitch.conf"
    hosts.touch()
    nsswitch.write_text("hosts: files\n")
    return Place(hosts, nsswitch)


@contextmanager
def place_with_dead_end(folder: Path, *, own: str, dead: str) -> Iterator[Place]:
    """A place with a network of its own: it has the address ``own`` (with prefix), and ``dead`` swallows everything."""
    words = ["unshare", "--net", "sh", "-c", _WITH_DEAD_END, "sh", own, dead]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            bare = place(folder)
            yield Place(bare.hosts, bare.nsswitch, holder.pid)
        finally:
            holder.kill()


@contextmanager
def inside_network(process: int) -> Iterator[None]:
    """Have the threads and sockets that this thread makes belong to the network of a process."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(own)
        os.close(own)
        os.close(there)


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, 0):
        raise OSError(ctypes.get_errno(), "setns")
