"""The blocks of memory between sockets and the volume, reused and counted: their number bounds the program's memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Self

__all__ = ["Buffer", "Buffers", "Shares"]

Buffer = mmap
"""Memory of its own, which the system has back the moment nothing refers to it: what the heap gives, it often keeps."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How the buffers of a transfer are shared out.

    Attributes:
        moving: between the network and the volume: one for each connection, and few more. What waits for the volume
            does not make it faster, and all of it is still to be written when the last byte has come.
        reading: for blocks that are read back to be hashed.
        kept: for blocks that have reached the volume and are soon to be hashed.
    """

    moving: int
    reading: int
    kept: int

    @classmethod
    def of(cls, count: int, *, connections: int, writers: int, hashers: int) -> Self:
        """Share out ``count`` buffers, of which ``connections`` and two more are there at least."""
        rest = count - connections
        writing, reading = (max(1, min(threads, rest // 3)) for threads in (writers, hashers))
        return cls(moving=connections + writing, reading=reading, kept=rest - writing - reading)


class Buffers:
    """Equal buffers. Waiting for one is what slows the network down to the volume's speed.

    Args:
        size: bytes of each.
        count: how many may be had at once.
        kept: how many more may be kept by who is asked to give them up.

    Attributes:
        waiting: how many wait for one now.
    """

    def __init__(self, size: int, count: int, *, kept: int = 0) -> None:
        self.size = size
        self._free: list[Buffer] = []
        self._slots = asyncio.Semaphore(count)
        self._room = kept
        self._due = 0  # how many are yet to become room for kept ones; below 0, the other way
        self.waiting = 0

    async def acquire(self) -> Buffer:
        """A buffer of `size` bytes with unspecified content, made on first use: three small files need not thirty."""
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        return self._free.pop() if self._free else mmap(-1, self.size, flags=MAP_PRIVATE | MAP_ANONYMOUS)

    def release(self, buffer: Buffer) -> None:
        """Give a buffer back. Nothing may read it any more."""
        self._free.append(buffer)
        self._slot_free()

    def shift(self, count: int) -> None:
        """Let ``count`` fewer be had and as many more be kept, as soon as they are free; below 0, the other way."""
        self._due += count
        while self._due < 0 and self._room:
            self._room -= 1
            self._room_free()

    @property
    def has_room(self) -> bool:
        """Whether one more may be kept."""
        return self._room > 0

    def keep(self) -> bool:
        """Have a buffer that was acquired be kept beside those that can be had; False if there are too many of these.

        It is given back by `give_up`.
        """
        if not self._room:
            return False
        self._room -= 1
        self._slot_free()
        return True

    def give_up(self, buffer: Buffer) -> None:
        """Give a buffer back that was kept. Nothing may read it any more."""
        self._free.append(buffer)
        self._room_free()

    def close(self) -> None:
        """Give back what is free: nobody wants any more."""
        self._free.clear()

    def _slot_free(self) -> None:
        if self._due > 0:
            self._due -= 1
            self._room += 1
        else:
            self._slots.release()

    def _room_free(self) -> None:
        if self._due < 0:
            self._due += 1
            self._slots.release()
        else:
            self._room += 1
