"""Volumes with several hosts at work."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import Commands
from tests.support.hosts import on_host
from tests.support.moosefs import moosefs_volume

__all__ = ["ARENAS", "Arena", "Host"]

# Not the temporary folder: that may be a tmpfs, and a local disk is what is asked for.
DISK = Path("/var/tmp")
SPACE = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Host:
    """A machine that mounts the volume.

    Attributes:
        name: its host name; empty for this machine itself.
        mount: where it has the file system.
    """

    name: str
    mount: Path

    def commands(self, here: Commands) -> Commands:
        """The ``prefetch`` command there."""
        return on_host(here, self.name) if self.name else here


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
