"""An image as its maker saved it: its layers in order, each with the command that made it.

Read here are what ``docker save`` and ``buildah push`` write (docker-archive, oci-archive, an OCI layout), a root
file system as a directory, and one as a single tar archive (``docker export``). An archive is read once, front to
back: its layers come in any order, and the documents that say which of them are the image's may come last.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from prefetch.errors import ContentError, UsageError
from prefetch.image.contents import Contents, Gone, Through, read_layer, read_member, walk
from prefetch.image.index import Index
from prefetch.image.tarstream import MOST_MEMBERS, Readable, ahead, looks_like_tar, normal, tar_stream

__all__ = ["Layer", "read_image"]

_LONGEST_DOCUMENT = 16 << 20
_HEAD = 512
_LAYOUT = ("*", "*/*", "*/*/*")  # blobs/sha256/HASH is the deepest there is
_OF_AN_IMAGE = re.compile(
    r"blobs(/.*)?|(sha256:)?[0-9a-f]{64}(/.*|\.json|\.tar|\.tar\.gz)?|(manifest|index)\.json|oci-layout|repositories"
)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an image.

    Attributes:
        made_by: the command of the image's history; empty where it is not told.
        blob_size: bytes of the layer as it was saved, compressed or not; 0 where there was no blob.
    """

    made_by: str
    blob_size: int
    contents: Contents


def _as_it_is(body: Readable) -> Readable:
    return body


def _no_matter(path: str) -> None:
    """Nobody wants to know."""


def read_image(path: Path, *, through: Through = _as_it_is, gone: Gone = _no_matter) -> list[Layer]:
    """The image's layers, the lowest first.

    Args:
        gone: told what went away while a root file system was read; that is left out.

    Raises:
        UsageError: there is no image, or more than one.
        ContentError: it is cut, damaged, or lacks a layer.
    """
    try:
        if not path.is_dir():
            return _read_archive(path, through)
        if (path / "index.json").is_file() or (path / "manifest.json").is_file():
            return _read_layout(path, through)
        return [Layer("", 0, walk(path, through=through, gone=gone))]
    except OSError as error:
        raise UsageError(
            f"{error.filename or path} cannot be read: {error.strerror or error}.",
            remedy="Make an archive with: docker save -o image.tar IMAGE",
        ) from error


def _read_archive(path: Path, through: Through) -> list[Layer]:
    with path.open("rb") as file, tar_stream(through(file), what=str(path)) as members:
        first = next((pair for pair in members if normal(pair[0].name)), None)
        if first is None:
            raise UsageError(f"{path} is empty.", remedy="Make an archive with: docker save -o image.tar IMAGE")
        members = chain([first], members)
        if not _OF_AN_IMAGE.fullmatch(normal(first[0].name)):
            return [Layer("", 0, [read_member(archive, member) for member, archive in members])]
        blobs = _Blobs(str(path))
        for member, archive in members:
            blobs.take_member(archive, member)
    return blobs.assembled()


def _read_layout(path: Path, through: Through) -> list[Layer]:
    blobs = _Blobs(str(path))
    for file in chain.from_iterable(path.glob(pattern) for pattern in _LAYOUT):
        # A pipe in the place of a blob would be waited for.
        if file.is_file():
            with file.open("rb") as body:
                blobs.take(file.relative_to(path).as_posix(), file.stat().st_size, through(body))
    return blobs.assembled()


class _Blobs:
    """What is met on the way through an archive: documents and layers by name."""

    def __init__(self, path: str) -> None:
        self._index = Index(path)
        self._layers: dict[str, tuple[int, Contents]] = {}

    def take_member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = normal(member.name)
        if member.issym():
            self._index.alias(name, normal(posixpath.join(posixpath.dirname(name), member.linkname)))
        elif member.islnk():
            self._index.alias(name, normal(member.linkname))
        elif (body := archive.extractfile(member)) is not None:
            self.take(name, member.size, body)

    def take(self, name: str, size: int, body: Readable) -> None:
        source = ahead(body)
        head = source.peek(_HEAD)[:_HEAD]
        if head.lstrip()[:1] in (b"{", b"[") and size <= _LONGEST_DOCUMENT:
            self._index.take(name, source.read())
        elif looks_like_tar(head):
            self._layers[name] = (size, read_layer(source, what=f"The layer {name} of {self._index.path}"))

    def assembled(self) -> list[Layer]:
        """The layers that the documents name, in their order."""
        layers, members = [], 0
        for name, made_by in self._index.layers():
            size, contents = self._layers.get(name) or self._index.lacks(name)
            layers.append(Layer(made_by, size, contents))
            members += len(contents)
            if members > MOST_MEMBERS:
                raise ContentError(
                    f"The layers of {self._index.path} have more than {MOST_MEMBERS} members.",
                    remedy="Save one image alone.",
                )
        return layers
