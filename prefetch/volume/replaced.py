"""Files that stood under a model's name, were not ours, and were kept below ``.prefetch/replaced``."""

from __future__ import annotations

import os
from dataclasses import dataclass

from prefetch.volume import files
from prefetch.volume.layout import Volume
from prefetch.volume.trees import files_below

__all__ = ["Replaced", "find_replaced"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """One of them: its path below the volume's root, and its bytes."""

    path: str
    size: int


def find_replaced(volume: Volume) -> list[Replaced]:
    """Every file that is kept there, by path; a link counts as itself."""
    with files.os_errors("reading what was replaced"):
        kept = files_below(volume.state / "replaced")
        found = [Replaced(os.path.relpath(e.path, volume.root), e.stat(follow_symlinks=False).st_size) for e in kept]
        return sorted(found, key=lambda file: file.path)
