"""Volumes with several hosts at work. A host has a name, process numbers and a mount of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.moosefs import moosefs_volume

__all__ = ["ARENAS", "Arena", "Host"]

# Not the temporary folder: that may be a tmpfs, and a local disk is what is asked for.
DISK = Path("/var/tmp")
SPACE = 3_000_000_000
APART = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that mounts the volume.

    Attributes:
        name: its host name; empty for this machine itself.
        mount: where it has the file system.
    """

    name: str
    mount: Path

    def command(self, *arguments: str | Path) -> list[str]:
        """``prefetch ARGUMENTS`` there."""
        words = [sys.executable, "-m", "prefetch", *map(str, arguments)]
        return [*APART, "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *words] if self.name else words


@dataclass(frozen=True, slots=True)
class Arena:
    """A file system and the hosts that have it; two of the writers are on the first one."""

    name: str
    hosts: tuple[Host, ...]


@contextmanager
def _local() -> Iterator[Arena]:
    folder = Path(tempfile.mkdtemp(prefix="prefetch-torture-", dir=DISK))
    try:
        yield Arena("local disk", (Host("", folder), Host("", folder), Host("elsewhere", folder)))
    finally:
        shutil.rmtree(folder)


@contextmanager
def _moosefs() -> Iterator[Arena]:
    with moosefs_volume(space=SPACE) as filesystem:
        first, second = filesystem.root, filesystem.mount()
        yield Arena("MooseFS, mounted twice", (Host("", first), Host("", first), Host("elsewhere", second)))


ARENAS: dict[str, Callable[[], AbstractContextManager[Arena]]] = {"local": _local, "moosefs": _moosefs}
