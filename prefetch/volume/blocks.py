"""How a file is cut into blocks: one buffer, one pwrite, one digest and one journal line each."""

from __future__ import annotations

__all__ = ["BLOCK_SIZE", "DIGEST_SIZE", "block_count", "block_length"]

BLOCK_SIZE = 4 * 1024 * 1024
"""Bytes of every block but the last."""

DIGEST_SIZE = 16
"""Bytes of an XXH3-128 digest."""


def block_count(size: int) -> int:
    """How many blocks a file of ``size`` bytes has."""
    return -(-size // BLOCK_SIZE)


def block_length(size: int, index: int) -> int:
    """How many bytes of a file of ``size`` bytes lie in block ``index``; 0 beyond its end."""
    return max(0, min(BLOCK_SIZE, size - index * BLOCK_SIZE))
