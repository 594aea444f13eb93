"""What killed processes left behind that no later run would ever look at: mostly bytes, at times a whole model."""

from __future__ import annotations

import time
from collections.abc import Callable

from prefetch.volume import claims, files, generations
from prefetch.volume.identity import Identity
from prefetch.volume.inventory import Inventory, matches
from prefetch.volume.layout import Volume

__all__ = ["OLD", "clear_leftovers", "clear_partials"]

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
        with volume.reading("partial") as partials:
            if partials is not None:
                _clear_partials(volume, partials, limit)
        with volume.reading("tmp") as drafts:
            if drafts is not None:
                _clear_drafts(drafts, limit)
        with volume.reading(claims.DIRECTORY) as taken:
            if taken is not None:
                claims.sweep(taken, lambda name: _is_untouched(name, taken, limit))


def clear_partials(volume: Volume, identity: Identity) -> int:
    """Delete the partial files of a model that stands there, but for those whose writers may still live; how many."""
    with files.os_errors(f"clearing partial files of {identity.path}"), volume.reading("partial") as directory:
        return 0 if directory is None else generations.clear_free(directory, identity)


def _clear_partials(volume: Volume, directory: int, limit: float) -> None:
    generations.clear_dead(directory)
    inventory = Inventory(volume)
    for other in generations.all_of(directory):
        names = (other.generation.data, other.generation.journal)
        forgotten = all(_is_untouched(name, directory, limit) for name in names)
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


def _stands(identity: Identity, volume: Volume, inventory: Inventory) -> bool:
    """Whether the very file is in its place, so that nobody needs the parts of it any more."""
    record, stat = inventory.get(identity.path), volume.stat(identity.path)
    if record is None or stat is None or record.suspect:
        return False
    return matches(record, stat) and record.sha256 == identity.sha256


def _clear_drafts(directory: int, limit: float) -> None:
    for name in files.names(directory):
        if _is_untouched(name, directory, limit):
            files.remove(name, dir_fd=directory)


def _is_untouched(name: str, directory: int, limit: float) -> bool:
    """Whether nothing happened since ``limit`` to what stands there; so too if nothing stands there."""
    # By the change of the inode: a draft that is a second name of a model has the model's own modification time.
    status = files.lstat(name, dir_fd=directory)
    return status is None or status.st_ctime < limit
