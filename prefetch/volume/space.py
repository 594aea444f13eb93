"""How much is on the volume, and how much more fits."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from prefetch.errors import OutgrownError, SpaceError
from prefetch.report.humanize import size as human
from prefetch.volume import files, generations
from prefetch.volume.layout import Volume
from prefetch.volume.trees import files_below

__all__ = ["Room", "SpareRoom", "check_space", "measure", "used_bytes"]

_PIB = 1 << 50


def used_bytes(volume: Volume) -> int:
    """Bytes of every file below the volume's root, what has several names once.

    By length and not by blocks: a network file system counts all blocks of a sparse file. So a partial file, which has
    its full length from the start, counts with what its journal claims.
    """
    with files.os_errors(f"summing up what is on {volume.root}"), volume.reading("partial") as directory:
        begun = iter(()) if directory is None else generations.all_of(directory)
        claimed = {partial.generation.data: partial.claimed_bytes for partial in begun if partial.journal is not None}
    partials = f"{volume.state}/partial/"
    seen: set[tuple[int, int]] = set()
    total = 0
    for entry in files_below(volume.root):
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            # Gone since it was listed.
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            partial = entry.path.startswith(partials)
            total += claimed.get(entry.name, status.st_size) if partial else status.st_size
    return total


@dataclass(frozen=True, slots=True)
class Room:
    """What a volume holds and may hold, in bytes.

    Attributes:
        capacity: the file system's size; None where it tells the whole cluster's instead.
        quota: what the volume may hold by its user's word, where there is one.
        used: what counts against the quota, or else against the capacity; None where neither is known.
        free: what still fits, never below 0; None where that cannot be known.
    """

    capacity: int | None
    quota: int | None
    used: int | None
    free: int | None


def measure(volume: Volume, *, quota: int | None) -> Room:
    """The room on a volume. With a ``quota`` (bytes the volume may hold) every file on it is looked at."""
    import shutil  # not needed by those who have nothing to do

    with files.os_errors(f"asking for the space on {volume.disk}"):
        usage = shutil.disk_usage(volume.disk)
    told = usage.total < _PIB
    capacity, used, left = (usage.total, usage.used, [usage.free]) if told else (None, None, [])
    if quota is not None:
        used = used_bytes(volume)
        left.append(max(0, quota - used))
    return Room(capacity, quota, used, min(left, default=None))


def check_space(needed: int, available: int | None) -> None:
    """Raise SpaceError if ``needed`` bytes do not fit into ``available``."""
    if available is not None and needed > available:
        raise SpaceError(
            f"{human(needed)} are to be fetched and the volume has room for {human(available)}.",
            remedy=f"Enlarge the volume (or its --quota) by {human(needed - available)}, or remove files from it.",
        )


class SpareRoom:
    """What models of unknown size may write together: the room on a volume beside what the others were promised.

    Threads may share it.

    Args:
        left: bytes; None where the room on the volume is not known.
    """

    def __init__(self, left: int | None) -> None:
        self._left = left
        self._lock = threading.Lock()

    def take(self, count: int, path: str) -> None:
        """The model at ``path`` is about to write ``count`` bytes more. Raises OutgrownError if they do not fit."""
        with self._lock:
            if self._left is None:
                return
            if count > self._left:
                raise OutgrownError(
                    f"{path}, whose host does not tell its size, is larger than what the volume has room for beside "
                    "the other models.",
                    remedy="Give its size in the manifest if it is known; else enlarge the volume (or its --quota), or "
                    "remove files from it.",
                )
            self._left -= count

    def give_back(self, count: int) -> None:
        """Bytes that were taken are deleted again."""
        with self._lock:
            if self._left is not None:
                self._left += count
