"""Folders that leave nothing behind: removed at the end, or by the next benchmark where one was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DISK", "MEMORY", "scratch"]

# Not the temporary folder: that may be a tmpfs, and two runs must look in the same place.
DISK = Path("/var/tmp")
MEMORY = Path("/dev/shm")
PREFIX = "prefetch-bench-"


@contextmanager
def scratch(base: Path) -> Iterator[Path]:
    """An empty folder below ``base``; those whose owner is dead are removed on the way."""
    for left in base.glob(f"{PREFIX}*"):
        _remove_if_abandoned(left)
    mine = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = os.open(mine, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield mine
    finally:
        shutil.rmtree(mine)
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
