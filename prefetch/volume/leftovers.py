"""What killed processes left behind that no later run would ever look at: mostly a few bytes each, and they add up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from prefetch.volume import files, generations
from prefetch.volume.layout import Volume

__all__ = ["OLD", "clear_leftovers"]

OLD = 24 * 3600.0
"""Seconds after which what should have lasted for milliseconds is nobody's, however far the hosts' clocks differ."""


def clear_leftovers(volume: Volume, *, clock: Callable[[], float] = time.time) -> None:
    """Delete journals without a data file, data files without a journal, and drafts that were never renamed.

    Raises:
        VolumeError: the volume refused.
    """
    limit = clock() - OLD
    with files.os_errors("clearing away what killed runs left"):
        with volume.reading("partial") as partials:
            if partials is not None:
                _clear_partials(partials, limit)
        with volume.reading("tmp") as drafts:
            if drafts is not None:
                _clear_drafts(drafts, limit)


def _clear_partials(directory: int, limit: float) -> None:
    generations.clear_dead(directory)
    for other in generations.all_of(directory):
        names = (other.generation.data, other.generation.journal)
        if other.journal is None and all(_is_untouched(name, directory, limit) for name in names):
            generations.remove(directory, other.generation)


def _clear_drafts(directory: int, limit: float) -> None:
    for name in os.listdir(directory):
        if _is_untouched(name, directory, limit):
            files.remove(name, dir_fd=directory)


def _is_untouched(name: str, directory: int, limit: float) -> bool:
    """Whether nothing happened since ``limit`` to what stands there; so too if nothing stands there."""
    # By the change of the inode: a draft that is a second name of a model has the model's own modification time.
    status = files.lstat(name, dir_fd=directory)
    return status is None or status.st_ctime < limit
