"""What killed processes left behind that no later run would ever look at: mostly bytes, at times a whole model."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

from prefetch.volume import claims, files, generations
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory, matches
from prefetch.volume.layout import Volume

__all__ = ["OLD", "clear_leftovers", "clear_partials", "is_draft"]

OLD = 24 * 3600.0
"""Seconds after which what should have lasted for milliseconds is nobody's, however far the hosts' clocks differ."""


def clear_leftovers(volume: Volume, *, clock: Callable[[], float] = time.time) -> None:
    """Delete journals without data, data files without a journal, drafts that were never renamed, claims of old; and
    what was begun of a model that another process has placed since.

    Raises:
        VolumeError: the volume refused.
    """
    limit = clock() - OLD
    with files.os_errors("clearing away what killed runs left"):
        with volume.reading("partial") as directory:
            if directory is not None:
                _clear_partials(volume, directory, limit)
        _clear_old(volume, "tmp", limit, fits=is_draft)
        _clear_old(volume, claims.DIRECTORY, limit, fits=claims.fits)


def clear_partials(volume: Volume, identity: Identity) -> int:
    """Delete the partial files of a model that stands there, but for those whose writers may still live; how many."""
    with files.os_errors(f"clearing partial files of {identity.path}"), volume.reading("partial") as directory:
        return 0 if directory is None else generations.clear_free(directory, identity)


def is_draft(name: str, status: os.stat_result) -> bool:
    """Whether what has this name and status can be something of ours that waits for its own name: a file or a link."""
    return not stat.S_ISDIR(status.st_mode)


def _clear_partials(volume: Volume, directory: int, limit: float) -> None:
    strange = [name for name in files.names(directory) if not generations.NAMES.fullmatch(name)]
    generations.clear_dead(directory)
    inventory = Inventory(volume)
    for other in generations.all_of(directory):
        names = (other.generation.data, other.generation.journal)
        forgotten = all(_is_untouched(name, directory, limit) for name in names)
        if not other.ours:
            strange.append(other.generation.journal)
        if other.journal is None:
            if forgotten:
                generations.remove(directory, other.generation)
        elif _stands(other.journal.identity, volume, inventory):
            if other.free:
                from prefetch.volume.partial import Partial

                # Through a generation of our own: only who has reserved a higher number may act on what is free.
                Partial.open(volume, other.journal.identity).discard()
            elif forgotten:
                generations.remove(directory, other.generation)
    volume.set_aside.update(f"partial/{name}" for name in strange)


def _stands(identity: Identity, volume: Volume, inventory: Inventory) -> bool:
    """Whether the very file is in its place, so that nobody needs the parts of it any more."""
    record, standing = inventory.get(identity.path), volume.stat(identity.path)
    if record is None or standing is None or record.suspect:
        return False
    return matches(record, standing) and record.sha256 == identity.sha256


def _clear_old(volume: Volume, parent: str, limit: float, *, fits: Callable[[str, os.stat_result], bool]) -> None:
    """Delete what fits into a directory of ours and to which nothing happened since ``limit``."""
    with volume.reading(parent) as directory:
        for name in () if directory is None else files.names(directory):
            assert directory is not None
            if (status := files.lstat(name, dir_fd=directory)) is None:
                continue
            if not fits(name, status):
                volume.set_aside.add(f"{parent}/{name}")
            # By the change of the inode: a draft that is a second name of a model has the model's modification time.
            elif status.st_ctime < limit:
                files.remove(name, dir_fd=directory)


def _is_untouched(name: str, directory: int, limit: float) -> bool:
    """Whether nothing happened since ``limit`` to what stands there; so too if nothing stands there."""
    status = files.lstat(name, dir_fd=directory)
    return status is None or status.st_ctime < limit
