"""What takes a while to make and is the same for all who ask: made beside the event loop, once for all who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Drawing"]

T = TypeVar("T")


class Drawing(Generic[T]):
    """Answers with what ``draw`` returns, from a call that began after the question came. One call at a time.

    Args:
        draw: called in a thread, so that who asks for something else is answered meanwhile.
    """

    def __init__(self, draw: Callable[[], T]) -> None:
        self._draw = draw
        self._turn = asyncio.Lock()
        self._begun = 0
        self._drawn: tuple[int, T] | None = None

    async def now(self) -> T:
        """What is drawn now, or was begun for somebody else since this was asked."""
        before = self._begun
        async with self._turn:
            if self._drawn is None or self._drawn[0] <= before:
                self._begun += 1
                self._drawn = self._begun, await asyncio.to_thread(self._draw)
            return self._drawn[1]
