"""A tar archive read once from its beginning to its end, compressed or not, with one piece of it in memory."""

from __future__ import annotations

import gzip
import io
import posixpath
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol, cast

from prefetch.errors import ContentError

__all__ = ["PIECE", "Readable", "ahead", "looks_like_tar", "normal", "tar_stream"]

PIECE = 1 << 20
"""How many bytes are read at a time."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Readable(Protocol):
    """What bytes can be read from, onwards only."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


def looks_like_tar(head: bytes) -> bool:
    """Whether a file that begins so (512 bytes are enough) can be a tar archive, plain, compressed or empty."""
    return head.startswith((_GZIP, _ZSTD)) or head[257:262] == b"ustar" or (bool(head) and not head.strip(b"\0"))


def normal(name: str) -> str:
    """A member's name as a path below the root, with no slash in front; empty for the root itself."""
    return posixpath.normpath("/" + name).lstrip("/")


def ahead(stream: Readable) -> io.BufferedReader[_Forward]:
    """The stream with its next bytes to be peeked at. Closing it leaves the stream open."""
    return io.BufferedReader(_Forward(stream), PIECE)


@contextmanager
def tar_stream(stream: Readable, *, what: str) -> Iterator[Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]]:
    """The members of an archive in their order, each to be read before the next is asked for.

    Raises:
        ContentError: the archive is cut, damaged, or none; ``what`` names it.
    """
    try:
        source = ahead(stream)
        with tarfile.open(fileobj=cast(IO[bytes], _decompressed(source)), mode="r|", bufsize=PIECE) as archive:
            yield _members(archive)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ContentError(f"{what} cannot be read: {error}.", remedy="Save the image once more.") from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    for member in archive:
        yield member, archive
        # Or the archive would remember each member it has passed.
        archive.members = []  # type: ignore[attr-defined]


def _decompressed(source: io.BufferedReader[_Forward]) -> Readable:
    head = source.peek(4)
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=source)
    if head.startswith(_ZSTD):
        if sys.version_info >= (3, 14):
            from compression.zstd import ZstdFile
        else:
            from backports.zstd import ZstdFile
        return ZstdFile(source)
    return source


class _Forward(io.RawIOBase):
    """A stream that is only ever read on, as something to read ahead from."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
