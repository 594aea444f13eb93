"""Looking at many models one after another."""

from __future__ import annotations

import os
import stat

from prefetch.errors import from_os_error
from prefetch.volume.layout import Volume

__all__ = ["Looking"]


class Looking:
    """Finds models as `Volume.stat` does, but follows the way to a directory once for all that lie in it.

    On a network volume each step of the way is a question to another machine.
    """

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self._real: dict[str, str | None] = {}

    def stat(self, path: str) -> os.stat_result | None:
        """The regular file at a model's path, through links that stay on the volume; None for anything else."""
        found = self._lstat(path)
        if found is not None and stat.S_ISLNK(found.st_mode):
            return self._volume.stat(path)
        return found if found is not None and stat.S_ISREG(found.st_mode) else None

    def is_directory(self, path: str) -> bool:
        """Whether a directory stands at a model's path."""
        found = self._lstat(path)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _lstat(self, path: str) -> os.stat_result | None:
        """Whatever stands at a model's path, a link as itself; None where the way there leads off the volume."""
        parent, _, name = path.rpartition("/")
        if parent not in self._real:
            self._real[parent] = self._volume.real_directory(parent)
        if (real := self._real[parent]) is None:
            return None
        try:
            return os.lstat(f"{real}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise from_os_error(error, what=f"looking at {path}") from error
