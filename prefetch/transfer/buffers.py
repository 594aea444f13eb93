"""The blocks of memory between sockets and the volume, reused and counted: their number bounds the program's memory."""

from __future__ import annotations

import asyncio

__all__ = ["Buffers"]


class Buffers:
    """A fixed number of equal buffers. Waiting for one is what slows the network down to the volume's speed.

    Attributes:
        size: bytes of each.
        spare: how many could be had without waiting.
    """

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self.spare = count
        self._free: list[bytearray] = []
        self._slots = asyncio.Semaphore(count)

    async def acquire(self) -> bytearray:
        """A buffer of `size` bytes with unspecified content, made on first use: three small files need not thirty."""
        await self._slots.acquire()
        self.spare -= 1
        return self._free.pop() if self._free else bytearray(self.size)

    def release(self, buffer: bytearray) -> None:
        """Give a buffer back. Nothing may read it any more."""
        self.spare += 1
        self._free.append(buffer)
        self._slots.release()
