"""The store of small JSON documents below ``.prefetch``: written whole or not at all, and doubted when they are read.

Each kind of document says in one place where it stands, what its files are called and what makes one whole. What stands
under such a name and is none is set aside: nobody goes by it, a person is told, and ``prune`` removes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prefetch.volume import files
from prefetch.volume.layout import Volume
from prefetch.volume.reading import Unfit, read_below
from prefetch.volume.untrusted import decode

__all__ = ["Kind", "encode", "fits", "keep_newest", "names", "newest_first", "read", "read_all", "write"]

LARGEST = 24 << 20
"""Bytes of a document: what a run of some 40,000 models comes to."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of document.

    Attributes:
        directory: where they stand, below ``.prefetch``.
        names: what their files are called.
        parse: what a document says, by its file's name; None if any part of it makes no sense.
        version: what it has as its ``version``; None for a kind that has none.
        most: bytes that one may have.
    """

    directory: str
    names: re.Pattern[str]
    parse: Callable[[str, Mapping[str, Any]], T | None]
    version: int | None = None
    most: int = LARGEST

    def read(self, name: str, directory: int) -> T | None:
        """What the document in an open directory says; None if there is none, or it is of another version.

        Raises:
            Unfit: it is none of ours.
        """
        data = read_below(name, directory=directory, most=self.most)
        if data is None:
            return None
        document = decode(data)
        if document is None:
            raise Unfit("it is no JSON object")
        version = document.get("version", self.version)
        if version != self.version and type(version) is int:
            return None
        found = self.parse(name, document) if version == self.version else None
        if found is None:
            raise Unfit("its content makes no sense")
        return found


def read(volume: Volume, kind: Kind[T], name: str) -> T | None:
    """What a document says; None if there is none, or what is there is set aside. Raises an error of ours."""
    with files.os_errors(f"reading {kind.directory}/{name}"), volume.reading(kind.directory) as directory:
        return None if directory is None else _read(volume, kind, name, directory)


def read_all(volume: Volume, kind: Kind[T], chosen: Iterable[str] | None = None) -> Iterator[tuple[str, T]]:
    """Every document of a kind, or the ``chosen`` ones in their order, by name. Raises an error of ours."""
    with files.os_errors(f"reading {kind.directory}"), volume.reading(kind.directory) as directory:
        if directory is None:
            return
        for name in _named(kind, directory) if chosen is None else chosen:
            if (found := _read(volume, kind, name, directory)) is not None:
                yield name, found


def names(volume: Volume, kind: Kind[Any]) -> list[str]:
    """The names of all documents of a kind, in no order. Raises an error of ours."""
    with files.os_errors(f"reading {kind.directory}"), volume.reading(kind.directory) as directory:
        return [] if directory is None else _named(kind, directory)


def write(volume: Volume, kind: Kind[Any], name: str, document: Mapping[str, Any], *, what: str | None = None) -> None:
    """Put a document in its place, with the version of its kind.

    Args:
        what: is recorded by it, for the sentence of an error; the document's own path where that says enough.

    Raises:
        PrefetchError: the volume refuses.
    """
    data = encode(document if kind.version is None else {"version": kind.version, **document})
    with (
        files.os_errors(f"recording {what or f'{kind.directory}/{name}'}"),
        volume.writing(kind.directory) as target,
        volume.writing("tmp") as temporary,
    ):
        files.replace(name, data, dir_fd=target, temporary=temporary)


def keep_newest(volume: Volume, kind: Kind[Any], count: int) -> None:
    """Remove all documents of a kind but so many that were written last."""
    with files.os_errors(f"clearing {kind.directory}"), volume.writing(kind.directory) as target:
        for name in newest_first(kind, target)[count:]:
            files.remove(name, dir_fd=target)
        # For those that are kept: a name is only as durable as the directory that it is in.
        files.flush(target)


def newest_first(kind: Kind[Any], directory: int) -> list[str]:
    """The names of a kind's documents in its open directory, the one that was written last first."""
    found = {name: files.lstat(name, dir_fd=directory) for name in _named(kind, directory)}
    return sorted(found, key=lambda name: -status.st_mtime_ns if (status := found[name]) is not None else 0)


def fits(kinds: Iterable[Kind[Any]], name: str, directory: int) -> bool:
    """Whether what has this name in an open directory is a document of one of these kinds. Raises OSError."""
    kind = next((kind for kind in kinds if kind.names.fullmatch(name)), None)
    try:
        if kind is not None:
            kind.read(name, directory)
    except Unfit:
        return False
    return kind is not None


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as it stands in its file."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _named(kind: Kind[Any], directory: int) -> list[str]:
    return list(filter(kind.names.fullmatch, files.names(directory)))


def _read(volume: Volume, kind: Kind[T], name: str, directory: int) -> T | None:
    try:
        return kind.read(name, directory)
    except Unfit:
        volume.set_aside.add(f"{kind.directory}/{name}")
        return None
