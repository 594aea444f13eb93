"""Volumes that are not there yet, for what is planned before there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefetch.volume.layout import Volume

__all__ = ["NoVolume", "UnmadeVolume"]


class NoVolume(Volume):
    """Looks like an empty volume to those who only look."""

    __slots__ = ()

    def __init__(self, root: Path = Path(os.devnull)) -> None:
        super().__init__(root, 0, 0)

    @contextmanager
    def reading(self, *parts: str) -> Iterator[int | None]:
        yield None

    def stat(self, path: str) -> os.stat_result | None:
        return None

    def real_directory(self, path: str) -> str | None:
        return None


class UnmadeVolume(NoVolume):
    """A directory that a run would make, in one that is there."""

    __slots__ = ()

    def __init__(self, root: Path) -> None:
        super().__init__(root.absolute())

    @property
    def disk(self) -> Path:
        return self.root.parent
