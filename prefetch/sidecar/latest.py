"""A place for the newest of something: what nobody took before the next came is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Latest"]

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one value at most, for one taker in the same event loop."""

    def __init__(self) -> None:
        self._held: list[T] = []
        self._change = asyncio.Event()

    def put(self, value: T) -> None:
        """Hold this one instead."""
        self._held = [value]
        self._change.set()

    async def take(self) -> T:
        """Wait for a value, and hold none."""
        await self.until(lambda value: True)
        return self._held.pop()

    async def until(self, wanted: Callable[[T], bool]) -> None:
        """Wait for such a value; it is held on."""
        while not self._held or not wanted(self._held[0]):
            self._change.clear()
            await self._change.wait()
