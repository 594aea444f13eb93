"""The volumes that files are downloaded to, each new and empty."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.bench.scratch import MEMORY, scratch
from tests.support.moosefs import MooseFS, moosefs_volume

__all__ = ["CAP", "Volume", "capped_moosefs", "capped_volume", "memory_volume", "moosefs"]

CAP = "1600mbit"
"""What RunPod lets through to a network volume, as tc writes it."""
Volume = Callable[[int], AbstractContextManager[Path]]
"""Gives an empty folder with room for so many bytes, and removes it."""


@contextmanager
def memory_volume(size: int) -> Iterator[Path]:
    """A folder on tmpfs; twice ``size`` must be free, so that the origin's page cache is not pushed out."""
    free = shutil.disk_usage(MEMORY).free
    if free < 2 * size:
        raise RuntimeError(f"{MEMORY} has {free} bytes free, and this workload needs {2 * size}.")
    with scratch(MEMORY) as folder:
        yield folder


@contextmanager
def moosefs(size: int) -> Iterator[Path]:
    """A MooseFS of its own, because one that was used deletes its old chunks in the minutes after."""
    with moosefs_volume(space=size) as filesystem:
        yield filesystem.root


@contextmanager
def capped_moosefs(size: int) -> Iterator[MooseFS]:
    """A MooseFS of its own behind a link of `CAP`."""
    with moosefs_volume(space=size) as filesystem:
        filesystem.cap(CAP)
        yield filesystem


@contextmanager
def capped_volume(size: int) -> Iterator[Path]:
    """The same, as a folder."""
    with capped_moosefs(size) as filesystem:
        yield filesystem.root
