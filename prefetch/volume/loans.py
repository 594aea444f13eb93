"""Blocks that a partial file counts on and that still lie in another file, which is not ours to write to."""

from __future__ import annotations

from collections.abc import Iterable

from prefetch.volume import files
from prefetch.volume.blocks import BLOCK_SIZE

__all__ = ["Loans"]


class Loans:
    """Which block is to be had from which other file."""

    def __init__(self) -> None:
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
        if lender is None:
            return False
        try:
            with lender.use() as number:
                return files.read_into(number, view, index * BLOCK_SIZE)
        except OSError:
            return False

    def close(self) -> None:
        """Close the other files."""
        for lender in self._lenders:
            lender.close()
