"""One layer's contents: what it stores, links and deletes, in the layer's own order."""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, cast

from prefetch.image.recognise import HEAD_SIZE, model_format
from prefetch.image.tarstream import PIECE, Readable, normal, tar_stream

__all__ = [
    "Contents",
    "Directory",
    "Entry",
    "Gone",
    "Link",
    "Replacement",
    "Stored",
    "SymbolicLink",
    "Through",
    "Whiteout",
    "read_layer",
    "read_member",
    "walk",
]

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_LONGEST_TARGET = 4096
_LARGEST_SPARSE = 1 << 30


@dataclass(frozen=True, slots=True)
class Stored:
    """A regular file's bytes in a layer.

    Attributes:
        path: below the image's root, with forward slashes and none in front.
        sha256: 32 bytes.
        format: what kind of model it is, None where it is none.
    """

    path: str
    size: int
    sha256: bytes
    format: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """Another name, ``path``, for the file that ``target`` names in the same layer."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Whiteout:
    """What lower layers have at ``path`` is gone; where it is opaque, only what they have below it."""

    path: str
    opaque: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory: keeps what lower layers have below it, and replaces a file of theirs."""

    path: str


@dataclass(frozen=True, slots=True)
class SymbolicLink:
    """A name that leads to ``target``, as the link says it: from the image's root, or from the folder it stands in."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A device or pipe: holds no bytes, and replaces whatever lower layers have there."""

    path: str


Entry: TypeAlias = Stored | Link | Whiteout | Directory | SymbolicLink | Replacement
Contents: TypeAlias = list[Entry]
Through: TypeAlias = Callable[[Readable], Readable]
"""What every file is read through; it gives the same bytes."""
Gone: TypeAlias = Callable[[str], None]
"""Told the path of something that went away while a directory was read."""


def read_layer(stream: Readable, *, what: str) -> Contents:
    """All that a layer's blob says; reads the stream once.

    Raises:
        ContentError: the blob is cut or is no tar archive; ``what`` names it.
    """
    with tar_stream(stream, what=what) as members:
        return [read_member(archive, member) for member, archive in members]


def read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    """What one member of a layer says; reads its bytes."""
    path = normal(member.name)
    folder, name = posixpath.split(path)
    if name == _OPAQUE:
        return Whiteout(folder, opaque=True)
    if name.startswith(_WHITEOUT):
        return Whiteout(posixpath.join(folder, name.removeprefix(_WHITEOUT)), opaque=False)
    if member.islnk():
        return Link(path, normal(member.linkname))
    if member.isdir():
        return Directory(path)
    if member.issym():
        return _symbolic(path, member.linkname)
    if not member.isfile():
        return Replacement(path)
    sparse = member.size > _LARGEST_SPARSE and _leave_out_holes(member)
    body = archive.extractfile(member)
    found = _read(path, member.size, cast(Readable, body))
    return replace(found, format=None) if sparse else found


def _leave_out_holes(member: tarfile.TarInfo) -> bool:
    """Have a sparse file read as what is stored of it: a petabyte of nothing takes a day to hash, and is no model."""
    if member.sparse is None:
        return False
    stored = cast("list[tuple[int, int]]", member.sparse)
    member.size, member.sparse = sum(size for _, size in stored), None
    return True


def _symbolic(path: str, target: str) -> SymbolicLink | Replacement:
    # Linux makes no longer one, so it leads nowhere.
    return SymbolicLink(path, target) if len(target) <= _LONGEST_TARGET else Replacement(path)


def walk(root: Path, *, through: Through, gone: Gone) -> Contents:
    """What stands below a directory, as one layer. Links are not followed. Raises OSError.

    Args:
        gone: told each path that was there and is not any more when its turn comes: it is left out.
    """
    contents: Contents = []
    first_names: dict[tuple[int, int], str] = {}
    for path, entry in _walk(root, gone):
        try:
            contents.append(_stands(path, entry, first_names, through))
        except OSError as error:
            _pass_over(error, path, gone)
    return contents


def _walk(root: Path, gone: Gone) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Each entry at any depth, a folder before what is in it."""
    pending = [("", entry) for entry in reversed(_listed(root))]
    while pending:
        below, entry = pending.pop()
        path = posixpath.join(below, entry.name)
        yield path, entry
        if entry.is_dir(follow_symlinks=False):
            try:
                pending.extend((path, inner) for inner in reversed(_listed(entry)))
            except OSError as error:
                _pass_over(error, path, gone)


def _listed(folder: os.PathLike[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _pass_over(error: OSError, path: str, gone: Gone) -> None:
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
        raise error
    gone(path)


def _stands(path: str, entry: os.DirEntry[str], first_names: dict[tuple[int, int], str], through: Through) -> Entry:
    if entry.is_symlink():
        return _symbolic(path, os.fspath(Path(entry.path).readlink()))
    if not (entry.is_dir() or entry.is_file()):
        return Replacement(path)
    return Directory(path) if entry.is_dir() else _file(path, entry, first_names, through)


def _file(
    path: str, entry: os.DirEntry[str], first_names: dict[tuple[int, int], str], through: Through
) -> Stored | Link:
    status = entry.stat(follow_symlinks=False)
    first = first_names.setdefault((status.st_dev, status.st_ino), path)
    if first != path:
        return Link(path, first)
    with open(entry.path, "rb", buffering=0) as body:
        return _read(path, status.st_size, through(body))


def _read(path: str, size: int, body: Readable) -> Stored:
    digest = hashlib.sha256()
    head = b""
    while piece := body.read(PIECE):
        head = head or piece[:HEAD_SIZE]
        digest.update(piece)
    return Stored(path, size, digest.digest(), model_format(path, head, size))
