"""Digests of blocks and of whole files."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

import xxhash

from prefetch.errors import VolumeError
from prefetch.volume.blocks import BLOCK_SIZE, DIGEST_SIZE, block_count, block_length
from prefetch.volume.files import os_errors, read_into

__all__ = ["UNREADABLE", "Unreadable", "block_digest", "digests_of_readable", "hash_file"]

UNREADABLE = bytes(DIGEST_SIZE)
"""Stands for the digest of a block that cannot be read."""


class Unreadable(VolumeError):
    """Some of a file's bytes are lost: the disk below gives an error in their place."""


def block_digest(data: bytes | memoryview) -> bytes:
    """XXH3-128 of one block, 16 bytes: tells damage from none, and proves nothing to an enemy."""
    return xxhash.xxh3_128_digest(data)


def hash_file(
    file: int | Path, *, name: str | None = None, progress: Callable[[int], None] | None = None
) -> tuple[str, bytes]:
    """SHA-256 of a whole file as hex, and the digests of its blocks in order, 16 bytes each.

    Args:
        file: a path, or an open descriptor at position 0, which stays open.
        name: what errors call it.
        progress: told the bytes read so far after each block; what it raises ends the reading.

    Raises:
        Unreadable: the disk has lost some of it.
        VolumeError: the file cannot be read.
    """
    name = name or (str(file) if isinstance(file, Path) else "a model")
    with os_errors(f"reading {name}"), open(file, "rb", buffering=0, closefd=isinstance(file, Path)) as source:
        with suppress(OSError):
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        try:
            return _hash(source, progress or _ignore)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise Unreadable(
                f"The disk cannot read all of {name} any more: {error.strerror}.",
                remedy="`prefetch run` fetches what is lost.",
            ) from error


def digests_of_readable(number: int, size: int) -> bytes:
    """The digests of the blocks of an open file of ``size`` bytes, with zeros for those that the disk has lost.

    Raises:
        OSError: it cannot be read for another reason.
    """
    buffer = memoryview(bytearray(BLOCK_SIZE))
    lengths = (block_length(size, index) for index in range(block_count(size)))
    return b"".join(_digest_at(number, buffer[:length], index) for index, length in enumerate(lengths))


def _digest_at(number: int, view: memoryview, index: int) -> bytes:
    try:
        return block_digest(view) if read_into(number, view, index * BLOCK_SIZE) else UNREADABLE
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return UNREADABLE


def _hash(source: FileIO, progress: Callable[[int], None]) -> tuple[str, bytes]:
    sha256, digests, done = hashlib.sha256(), bytearray(), 0
    buffer = memoryview(bytearray(BLOCK_SIZE))
    while length := _fill(source, buffer):
        sha256.update(buffer[:length])
        digests += block_digest(buffer[:length])
        done += length
        progress(done)
    return sha256.hexdigest(), bytes(digests)


def _fill(source: FileIO, buffer: memoryview) -> int:
    length = 0
    while count := source.readinto(buffer[length:]):
        length += count
    return length


def _ignore(done: int) -> None:
    """Nobody watches."""
