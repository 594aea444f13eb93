"""One look at the board a second for all who watch, however many they are; none where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from prefetch.monitor.drawing import Drawing
from prefetch.monitor.frames import BEAT, Picture
from prefetch.report.board import Board
from prefetch.report.view import view_of

__all__ = ["Feed"]

EVERY = 1.0
"""Seconds between two looks."""
BEATS_AFTER = 15
"""Looks that find nothing new before that is said: proxies close what is silent for longer than a minute or so."""
MOST = 64
"""Who may watch at once. The server takes twice as many connections, so that scrapes find room."""


class Feed:
    """Frames of a board, made once for all.

    Attributes:
        looks: how often the board was looked at.
    """

    def __init__(self, board: Board, *, every: float = EVERY, beats_after: int = BEATS_AFTER, most: int = MOST) -> None:
        self.looks = 0
        self._board = board
        self._every = every
        self._beats_after = beats_after
        self._most = most
        self._watching = 0
        self._looking: asyncio.Task[None] | None = None
        self._looks = Drawing(self.picture)
        self._is_new = False
        self._turn = asyncio.Event()
        self._picture = Picture("", {}, {})
        self._whole: bytes | None = None
        self._news = BEAT
        self._number = 0
        self._still = 0
        self._over = False

    @property
    def is_full(self) -> bool:
        """Whether nobody else may watch."""
        return self._watching >= self._most

    def picture(self) -> Picture:
        """The board as it is now. Called in a thread."""
        self.looks += 1
        return Picture.of(view_of(self._board))

    async def frames(self) -> AsyncGenerator[bytes]:
        """Server-sent events: all there is, then what is new. Who comes late for one gets all there is again."""
        self._watching += 1
        try:
            if self._looking is None:
                self._looking = asyncio.create_task(self._look_on())
            if not self._is_new:
                await self._turn.wait()
            seen = None
            while True:
                frame = self._news if seen == self._number - 1 else self._all()
                seen = self._number
                yield frame
                while seen == self._number:
                    if self._over:
                        return
                    await self._turn.wait()
        finally:
            self._leave()

    async def close(self) -> None:
        """End all frames with one of how the board is now."""
        self._over = True
        self._take(await self._looks.now())

    def _leave(self) -> None:
        self._watching -= 1
        if not self._watching and self._looking is not None:
            self._looking.cancel()
            self._looking, self._is_new = None, False

    async def _look_on(self) -> None:
        self._take(await self._looks.now())
        while True:
            await asyncio.sleep(self._every)
            new = await self._looks.now()
            self._still = self._still + 1 if new == self._picture else 0
            if self._still % self._beats_after == 0:
                self._take(new)

    def _take(self, new: Picture) -> None:
        self._news, self._whole = new.since(self._picture), None
        self._picture = new
        self._number += 1
        self._is_new = True
        self._turn.set()
        self._turn = asyncio.Event()

    def _all(self) -> bytes:
        if self._whole is None:
            self._whole = self._picture.whole()
        return self._whole
