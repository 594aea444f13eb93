"""A real btrfs in a file, compressing: what it holds of zeros takes hardly any room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.slots import tool, tool_environment

__all__ = ["btrfs_volume"]


@contextmanager
def btrfs_volume(folder: Path, size: int) -> Iterator[Path]:
    """A new file system of ``size`` bytes, mounted below ``folder`` as long as the block.

    Raises:
        RuntimeError: its tools are missing, or it could not be mounted.
    """
    if shutil.which("mkfs.btrfs", path=tool_environment()["PATH"]) is None:
        raise RuntimeError("mkfs.btrfs not found (Debian: btrfs-progs).")
    image, volume = folder / "btrfs.image", folder / "btrfs"
    volume.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    tool("mkfs.btrfs", "-q", image)
    tool("mount", "-o", "loop,compress-force=zstd:1", image, volume)
    try:
        yield volume
    finally:
        tool("umount", volume)
        image.unlink()
