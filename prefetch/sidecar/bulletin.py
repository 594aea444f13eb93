"""What is wrong with the manifests, said everywhere once: in the log, in the metrics and on the page."""

from __future__ import annotations

from typing import Literal

from prefetch.errors import PrefetchError
from prefetch.report.board import Board
from prefetch.report.events import Listener, Notice

__all__ = ["About", "Bulletin"]

About = Literal["manifest", "address"]
_WELL = {
    "manifest": "The manifests can be used again.",
    "address": "The manifest's address answers again.",
}


class Bulletin:
    """Says each thing when it begins to be wrong, when it is wrong in another way, and when it is well again."""

    def __init__(self, board: Board, listener: Listener) -> None:
        self._board = board
        self._listener = listener
        self._wrong: dict[About, str] = {}
        board.manifest_usable = True

    def is_wrong(self, about: About) -> bool:
        """Whether it was said to be wrong, and not to be well since."""
        return about in self._wrong

    def wrong(self, about: About, error: PrefetchError) -> None:
        """The manifests cannot be used, or what is at their address cannot be had."""
        sentence = f"{error} What was wanted before is kept."
        if self._wrong.get(about) == sentence:
            return
        self._wrong[about] = sentence
        self._board.manifest_usable = False
        self._board.warn(about, sentence)
        self._listener(Notice("warning", sentence))

    def well(self, about: About) -> None:
        """Nothing is wrong with it any more."""
        if self._wrong.pop(about, None) is None:
            return
        self._board.manifest_usable = not self._wrong
        self._board.settle(about)
        self._listener(Notice("info", _WELL[about]))
