"""A tar archive read once from its beginning to its end, compressed or not, with one piece of it in memory.

An archive is a stranger's: the standard library takes a header of any length into memory, ends quietly at a damaged
one, and calls itself for each header that only describes the next. So headers are bounded here, and damage is an error.
"""

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

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

__all__ = ["MOST_MEMBERS", "PIECE", "Readable", "ahead", "looks_like_tar", "normal", "tar_stream"]

PIECE = 1 << 20
"""How many bytes are read at a time."""

MOST_MEMBERS = 1_000_000
"""How many files, folders and links an image may have in all its layers: one of half a million is large."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"

_LONGEST_EXTENSION = 64 << 10
"""Bytes of one header that describes the next member: a path of 4 KiB and some attributes take far less."""

_LONGEST_HEADERS = 1 << 20
"""Bytes of all that stands between two members' contents: such headers, and the map of a sparse file."""

_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ZstdError)
_SENSELESS = (ValueError, ArithmeticError, LookupError, RecursionError)
"""What the standard library raises besides where numbers in a header are none, or headers describe headers for ever."""


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
        source = _Metered(_decompressed(ahead(stream)))
        with _opened(source) as archive:
            yield _members(archive, source)
    except _DAMAGED as error:
        raise ContentError(f"{what} cannot be read: {error}.", remedy="Save the image once more.") from error


def _opened(source: _Metered) -> tarfile.TarFile:
    source.left = PIECE + _LONGEST_HEADERS
    with _sensible():
        return tarfile.open(fileobj=cast(IO[bytes], source), mode="r|", bufsize=PIECE, tarinfo=_Header)


@contextmanager
def _sensible() -> Iterator[None]:
    try:
        yield
    except _SENSELESS as error:
        raise tarfile.ReadError("a header makes no sense") from error


def _members(archive: tarfile.TarFile, source: _Metered) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    for _ in range(MOST_MEMBERS):
        unread: int = archive.offset - archive.fileobj.tell()
        source.left = max(unread, 0) + PIECE + _LONGEST_HEADERS
        with _sensible():
            member = archive.next()
        if member is None:
            return
        source.left = None
        yield member, archive
        # Or the archive would remember each member it has passed.
        archive.members = []  # type: ignore[attr-defined]
    raise tarfile.ReadError(f"it has more than {MOST_MEMBERS} members")


def _decompressed(source: io.BufferedReader[_Forward]) -> Readable:
    head = source.peek(4)
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=source)
    return ZstdFile(source) if head.startswith(_ZSTD) else source


class _Header(tarfile.TarInfo):
    """A member's header. Only the first may be none: what is no header further on is damage, and not the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from error

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        describes = self.type in (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
        if describes and self.size > _LONGEST_EXTENSION:
            raise tarfile.ReadError("a header is longer than any file's")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


class _Metered:
    """A stream of which at most ``left`` bytes may be read, None being no limit, and its end once.

    A member may claim 2^63 bytes, and the standard library reads on for all of them.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.left: int | None = None
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        piece = self._stream.read(size)
        if not piece and self._ended:
            raise EOFError("unexpected end of data")
        self._ended = not piece
        if self.left is not None:
            self.left -= len(piece)
            if self.left < 0:
                raise tarfile.ReadError("headers follow one another without an end")
        return piece


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
