"""Files that stood under a model's name, were not ours, and were kept below ``.prefetch/replaced``."""

from __future__ import annotations

from dataclasses import dataclass

from prefetch.volume import files
from prefetch.volume.layout import Volume

__all__ = ["Replaced", "find_replaced"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """One of them: its path below the volume's root, and its bytes."""

    path: str
    size: int


def find_replaced(volume: Volume) -> list[Replaced]:
    """Every file that is kept there, by path; a link counts as itself."""
    with files.os_errors("reading what was replaced"):
        found = (path for path in (volume.state / "replaced").rglob("*") if path.is_symlink() or not path.is_dir())
        return [Replaced(str(path.relative_to(volume.root)), path.lstat().st_size) for path in sorted(found)]
