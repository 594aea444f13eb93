"""Finding the network volume among what is mounted."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prefetch.errors import UsageError

__all__ = ["find_volume", "may_be_made", "mounted_volume"]

_CANDIDATES = ("/runpod-volume", "/workspace")
_ESCAPE = re.compile(rb"\\([0-7]{3})")


def find_volume(
    given: Path | None,
    *,
    require_mount: bool = False,
    mountinfo: Path = Path("/proc/self/mountinfo"),
    candidates: Sequence[str] = _CANDIDATES,
) -> Path:
    """The directory to put models below: the given one as it is, else the first candidate that is a mount point.

    A candidate that is an ordinary directory is no volume: what is put there is gone with the container.

    Args:
        require_mount: the given one has to be a mount point, or to lie on one other than the root.

    Raises:
        UsageError: none was given and none is mounted, or the given one is required to be and is not.
    """
    mounted = _mount_points(mountinfo)
    if given is not None:
        if require_mount and not _is_on_one(given, mounted):
            raise UsageError(
                f"Nothing is mounted at {given}: what is put there is gone with the container.",
                remedy="Attach the volume there, or unset PREFETCH_REQUIRE_MOUNT.",
            )
        return given
    if (found := _first(candidates, mounted)) is not None:
        return found
    raise UsageError(
        f"No volume was named, and nothing is mounted at {' or '.join(candidates)}.",
        remedy="Pass the directory that models belong below as --volume DIR.",
    )


def mounted_volume(
    *, mountinfo: Path = Path("/proc/self/mountinfo"), candidates: Sequence[str] = _CANDIDATES
) -> Path | None:
    """The first candidate that is a mount point."""
    return _first(candidates, _mount_points(mountinfo))


def may_be_made(root: Path) -> bool:
    """Whether a volume's directory is missing, and may be made: the one above is there, and no other can be meant.

    A misspelt mount point must not become 37 GB on the container's disk.

    Raises:
        UsageError: it would lie directly below the root directory, or beside a directory of nearly the same name.
    """
    parent = root.absolute().parent
    if os.path.lexists(root) or not parent.is_dir():
        return False
    meant = _meant(root, parent)
    if meant is None and parent != parent.parent:
        return True
    hint = "" if meant is None else f"Did you mean {meant}? "
    raise UsageError(
        f"There is no directory {root}, and it is not made unasked: it looks like a misspelt volume.",
        remedy=f"{hint}If it is meant, make it first: mkdir {root}",
    )


def _meant(root: Path, parent: Path) -> Path | None:
    """The directory that ``root`` may be a misspelling of; volume2 is none of volume1, nor volume-b of volume-a."""
    import difflib

    known = {Path(place).name: Path(place) for place in _CANDIDATES}
    if not root.is_absolute() and (lost := known.get(str(root).lower().removeprefix("./"))):
        # Its first slash is missing.
        return lost
    known = known if parent == parent.parent else {}
    with suppress(OSError):
        known |= {entry.name: parent / entry.name for entry in os.scandir(parent) if entry.is_dir()}
    others = [other for other in known if _words(other) != _words(root.name)]
    close = difflib.get_close_matches(root.name, others, n=1, cutoff=0.87)
    return known[close[0]] if close else None


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]{3,}", name.lower())


def _first(candidates: Sequence[str], mounted: set[str]) -> Path | None:
    return next((Path(candidate) for candidate in candidates if candidate in mounted), None)


def _is_on_one(path: Path, mounted: set[str]) -> bool:
    whole = Path(os.path.realpath(path))
    return any(str(folder) in mounted for folder in (whole, *whole.parents) if folder != folder.parent)


def _mount_points(mountinfo: Path) -> set[str]:
    try:
        lines = mountinfo.read_bytes().splitlines()
    except OSError:
        return set()
    return {_unescaped(fields[4]) for line in lines if len(fields := line.split(b" ")) > 4}


def _unescaped(field: bytes) -> str:
    # The kernel writes blanks, tabs, newlines and backslashes of a path as octal numbers.
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field))
