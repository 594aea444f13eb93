"""What is downloaded, over what kind of link, onto what kind of volume."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["WORKLOADS", "Workload"]

MEMORY_DISK = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Workload:
    """One section of the report.

    Attributes:
        title: what it is, in words.
        scale: the seed set's sizes are divided by it.
        pace: bytes a second that each connection gets from the origin; 0 for no limit.
        volume: gives an empty folder with room for so many bytes, and removes it.
    """

    title: str
    scale: int
    pace: int
    volume: Callable[[int], AbstractContextManager[Path]]


@contextmanager
def memory_volume(size: int) -> Iterator[Path]:
    """A folder on tmpfs; twice ``size`` must be free, so that the origin's page cache is not pushed out."""
    free = shutil.disk_usage(MEMORY_DISK).free
    if free < 2 * size:
        raise RuntimeError(f"{MEMORY_DISK} has {free} bytes free, and this workload needs {2 * size}.")
    with tempfile.TemporaryDirectory(prefix="prefetch-bench-", dir=MEMORY_DISK) as folder:
        yield Path(folder)


WORKLOADS = (
    Workload(
        title="The seed set 1:40 onto tmpfs, TLS, each connection paced to 40 MB/s",
        scale=40,
        pace=40_000_000,
        volume=memory_volume,
    ),
)
