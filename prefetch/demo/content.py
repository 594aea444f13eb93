"""Files made on the fly: any byte range of them is there at once, and none of them is stored."""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from prefetch.demo import formats

__all__ = ["BytesFile", "Content", "Extended", "Flipped", "Kind", "Noise", "SyntheticFile", "ZeroFile", "kind_of"]

Kind = Literal["safetensors", "gguf", "pth", "raw"]

PIECE = 1 << 20
"""The longest view handed out, in bytes: long enough that a send's fixed cost vanishes."""
_STRIDE = 0x5_A827
"""Odd, so that ``index * _STRIDE`` modulo `PIECE` meets each of 2**20 shifts before one recurs: 1 TiB of pieces."""


class Content(ABC):
    """A sequence of bytes with random access. Safe to read from many threads at once."""

    size: int
    """Bytes."""

    @abstractmethod
    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes ``[start, stop)`` as consecutive views of at most 1 MiB, ``0 <= start <= stop <= size``."""

    def read(self, start: int, stop: int) -> bytes:
        """The bytes ``[start, stop)`` in one piece."""
        return b"".join(self.views(start, stop))

    @cached_property
    def sha256(self) -> str:
        """64 lower-case hex digits, computed at the first call by streaming the whole file."""
        digest = hashlib.sha256()
        for view in self.views(0, self.size):
            digest.update(view)
        return digest.hexdigest()

    @cached_property
    def git_sha1(self) -> str:
        """The hash git gives the file as a blob, 40 lower-case hex digits."""
        digest = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        for view in self.views(0, self.size):
            digest.update(view)
        return digest.hexdigest()

    @property
    def lfs_pointer(self) -> str:
        """What git itself keeps of the file when Git LFS keeps its bytes."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n"


class BytesFile(Content):
    """The bytes it was given."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._view = memoryview(data)

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        for at in range(start, stop, PIECE):
            yield self._view[at : min(at + PIECE, stop)]


class ZeroFile(Content):
    """``size`` zero bytes, made from nothing."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._zeros = memoryview(bytes(PIECE))

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        for at in range(start, stop, PIECE):
            yield self._zeros[: min(PIECE, stop - at)]


class Noise(Content):
    """Pseudo-random bytes in which no two aligned pieces of 1 MiB are alike, below 1 TiB.

    One block of 2 MiB is drawn from the seed; each piece is a view into it, at a shift of its own. Nothing is copied.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._first = seed * 0x9E37 % PIECE
        self._block = memoryview(random.Random(seed).randbytes(2 * PIECE))  # noqa: S311 - not for secrets

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        at = start
        while at < stop:
            index, offset = divmod(at, PIECE)
            length = min(PIECE - offset, stop - at)
            shift = (self._first + index * _STRIDE) % PIECE + offset
            yield self._block[shift : shift + length]
            at += length


class SyntheticFile(Content):
    """A model file that a loader would open: a valid header (and footer, for zip) around pseudo-random weights.

    Args:
        name: the file's name, which its header mentions.
        size: bytes in all, header included.
        kind: the format; ``raw`` is pseudo-random bytes from the first on.
        seed: the same name, size, kind and seed give the same bytes, on every machine.

    Raises:
        ValueError: the size has no room for the format's header.
    """

    def __init__(self, name: str, size: int, kind: Kind, seed: int) -> None:
        self.name = name
        self.size = size
        self.kind = kind
        self._noise = Noise(size, seed)
        frame = formats.frame(kind, PurePosixPath(name).stem, size, self._noise.views)
        self._head = BytesFile(frame.head)
        self._tail = BytesFile(frame.tail)

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        head, tail = self._head.size, self.size - self._tail.size
        yield from self._head.views(min(start, head), min(stop, head))
        yield from self._noise.views(max(start, head), max(min(stop, tail), start, head))
        yield from self._tail.views(max(start - tail, 0), max(stop - tail, 0))


class Flipped(Content):
    """Another content with all bits of one byte inverted."""

    def __init__(self, inner: Content, offset: int) -> None:
        self.size = inner.size
        self._inner = inner
        self._offset = offset

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        at = start
        for view in self._inner.views(start, stop):
            index = self._offset - at
            at += len(view)
            yield _flip(view, index) if 0 <= index < len(view) else view


class Extended(Content):
    """Another content followed by ``extra`` zero bytes."""

    def __init__(self, inner: Content, extra: int) -> None:
        self.size = inner.size + extra
        self._inner = inner
        self._zeros = ZeroFile(extra)

    def views(self, start: int, stop: int) -> Iterator[memoryview]:
        end = self._inner.size
        yield from self._inner.views(min(start, end), min(stop, end))
        yield from self._zeros.views(max(start - end, 0), max(stop - end, 0))


def kind_of(name: str) -> Kind:
    """The format a file name promises."""
    suffix = PurePosixPath(name).suffix.removeprefix(".")
    return suffix if suffix in ("safetensors", "gguf", "pth") else "raw"  # type: ignore[return-value]


def _flip(view: memoryview, index: int) -> memoryview:
    changed = bytearray(view)
    changed[index] ^= 0xFF
    return memoryview(changed)
