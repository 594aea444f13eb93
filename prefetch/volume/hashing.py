"""Digests of blocks and of whole files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

import xxhash

from prefetch.volume.blocks import BLOCK_SIZE
from prefetch.volume.files import os_errors

__all__ = ["block_digest", "hash_file"]


def block_digest(data: bytes | memoryview) -> bytes:
    """XXH3-128 of one block, 16 bytes: tells damage from none, and proves nothing to an enemy."""
    return xxhash.xxh3_128_digest(data)


def hash_file(file: int | Path, *, progress: Callable[[int], None] | None = None) -> tuple[str, bytes]:
    """SHA-256 of a whole file as hex, and the digests of its blocks in order, 16 bytes each.

    Args:
        file: a path, or an open descriptor at position 0, which stays open.
        progress: told the bytes read so far after each block; what it raises ends the reading.

    Raises:
        VolumeError: the file cannot be read.
    """
    name = file if isinstance(file, Path) else "a model"
    with os_errors(f"reading {name}"), open(file, "rb", buffering=0, closefd=isinstance(file, Path)) as source:
        with suppress(OSError):
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return _hash(source, progress or _ignore)


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
