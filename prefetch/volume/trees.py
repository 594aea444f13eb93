"""Directories with all that is in them, whatever their depth and whoever made them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from prefetch.volume import files

__all__ = ["files_below", "remove_all"]


def files_below(directory: Path) -> Iterator[os.DirEntry[str]]:
    """Every file and link below a directory, whatever its depth; what cannot be listed is left out."""
    pending = [os.fspath(directory)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        yield entry
        except OSError:
            # What we may not read we can neither count nor remove, and it is no reason not to begin.
            continue


def remove_all(unwanted: Iterable[str], *, dir_fd: int) -> None:
    """Remove whatever stands under these names, a directory with all that is in it; no link is followed."""
    pending = list(unwanted)
    while pending:
        name = pending.pop()
        try:
            below = files.open_directory(name, dir_fd=dir_fd)
        except FileNotFoundError:
            continue
        except OSError:
            files.remove(name, dir_fd=dir_fd)
            continue
        try:
            raised = _empty(below, into=dir_fd)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=dir_fd)
        pending.extend(raised)


def _empty(directory: int, *, into: int) -> list[str]:
    """Remove the files of an open directory, and move its directories to names of their own in another one.

    So no depth is too much: neither for the stack, nor for the longest path that the system takes.
    """
    raised = []
    for name in files.names(directory):
        status = files.lstat(name, dir_fd=directory)
        if status is not None and stat.S_ISDIR(status.st_mode):
            raised.append(f"removed.{os.urandom(8).hex()}")
            os.rename(name, raised[-1], src_dir_fd=directory, dst_dir_fd=into)
        else:
            files.remove(name, dir_fd=directory)
    return raised
