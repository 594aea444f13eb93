"""A file on its way to its final name, as the transfer and the publication see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from prefetch.volume.identity import Identity

__all__ = ["Incoming"]


class Incoming(Protocol):
    """Takes a file's blocks in any order, from many threads, and gives them back only as they were written.

    Attributes:
        identity: the file this is.
        size: bytes of the whole file, None while unknown.
        claimed: block number → digest of every block that is here as far as is known.
        resumed_bytes: what an earlier process had left.
        unsynced_bytes: bytes written since the last `sync` began.
        block_count: how many blocks the file has; 0 while its size is unknown.
    """

    @property
    def identity(self) -> Identity: ...
    @property
    def size(self) -> int | None: ...
    @property
    def claimed(self) -> Mapping[int, bytes]: ...
    @property
    def resumed_bytes(self) -> int: ...
    @property
    def unsynced_bytes(self) -> int: ...
    @property
    def block_count(self) -> int: ...

    def block_length(self, index: int) -> int:
        """How many bytes block ``index`` has."""
        ...

    def write(self, index: int, data: bytes | memoryview) -> bytes:
        """Write a whole block; returns its digest, 16 bytes."""
        ...

    def read(self, index: int, buffer: memoryview) -> memoryview | None:
        """The block as it was written, in ``buffer``; None if that is not what the volume gives back any more."""
        ...

    def matches(self, index: int, data: bytes | memoryview) -> bool:
        """Whether ``data`` are the very bytes that block ``index`` is claimed to hold."""
        ...

    def learn_size(self, size: int) -> None:
        """The end of a file of unknown size was reached."""
        ...

    def restart(self) -> None:
        """Drop everything that is here. No other call may be under way."""
        ...

    def digests(self) -> bytes | None:
        """The digests of all blocks in order, 16 bytes each; None for a file too small to be mended by blocks."""
        ...

    def check_whole(self) -> None:
        """Raise VolumeError unless the file is complete."""
        ...

    def sync(self) -> None:
        """Bring what was written to the disk."""
        ...

    def close_data(self) -> None:
        """Close the file, with the last word of the volume on whether its writes succeeded."""
        ...

    def rename_to(self, name: str, *, dir_fd: int) -> None:
        """Give the file another name, in another directory. Raises OSError."""
        ...

    def close(self) -> None:
        """Close everything and keep what the next run can use."""
        ...

    def discard(self) -> None:
        """Close everything and delete what is left of it."""
        ...
