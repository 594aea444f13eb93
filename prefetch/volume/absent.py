"""No volume at all, for what is planned before there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefetch.volume.layout import Volume

__all__ = ["NoVolume"]


class NoVolume(Volume):
    """Looks like an empty volume to those who only look."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), 0, 0)

    @contextmanager
    def reading(self, *parts: str) -> Iterator[int | None]:
        yield None

    def stat(self, path: str) -> os.stat_result | None:
        return None

    def real_directory(self, path: str) -> str | None:
        return None
