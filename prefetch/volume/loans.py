"""Blocks that a partial file counts on and that still lie in another file, which is not ours to write to."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from contextlib import suppress

from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Loans"]

PATIENCE = 15.0
"""Seconds for one block to come. MooseFS holds what a frozen host was writing back for two minutes."""


class Loans:
    """Which block is to be had from which other file."""

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lender_of: dict[int, files.Descriptor] = {}
        self._lenders: list[files.Descriptor] = []

    def __len__(self) -> int:
        return len(self._lender_of)

    def __contains__(self, index: int) -> bool:
        return index in self._lender_of

    def borrow(self, number: int, indices: Iterable[int]) -> None:
        """Count on an open file, which is closed with everything else, for these blocks."""
        lender = files.Descriptor(number)
        self._lenders.append(lender)
        self._lender_of.update(dict.fromkeys(indices, lender))

    def settle(self, index: int) -> None:
        """Count on no other file for this block any more."""
        self._lender_of.pop(index, None)

    def clear(self) -> None:
        """Count on no other file at all."""
        self._lender_of.clear()

    def read(self, index: int, view: memoryview) -> bool:
        """Fill ``view`` with a borrowed block; False if it is not to be had.

        That a file which is not ours was cut, deleted, or lost by its server costs us its blocks and no more.
        """
        lender = self._lender_of.get(index)
        if lender is None or lender not in self._lenders:
            return False
        answer: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        # A thread and a buffer of its own: the read may hang, and come back when ``view`` serves something else.
        arguments = (lender, len(view), index * BLOCK_SIZE, answer)
        threading.Thread(target=_read, args=arguments, name="loan", daemon=True).start()
        try:
            data = answer.get(timeout=self._patience)
        except queue.Empty:
            # Nor are the others asked for. It is left open, since closing it would wait for that thread.
            with suppress(ValueError):
                self._lenders.remove(lender)
            return False
        if data is not None:
            view[:] = data
        return data is not None

    def close(self) -> None:
        """Close the other files."""
        for lender in self._lenders:
            lender.close()


def _read(lender: files.Descriptor, length: int, offset: int, answer: queue.SimpleQueue[bytearray | None]) -> None:
    data = bytearray(length)
    whole = False
    with suppress(OSError), lender.use() as number:
        whole = files.read_into(number, memoryview(data), offset)
    answer.put(data if whole else None)
