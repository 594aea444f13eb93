"""What is wrong with the manifests, said everywhere once: in the log, the metrics, on the page and by a message."""

from __future__ import annotations

from prefetch.errors import PrefetchError
from prefetch.report.board import Board
from prefetch.report.events import Listener, Notice
from prefetch.sidecar.herald import About, Herald

__all__ = ["Bulletin"]

KEPT = "What was wanted before is kept."
_WELL = {
    "manifest": "The manifests can be used again.",
    "address": "The manifest's address answers again.",
}


class Bulletin:
    """Says each thing when it begins to be wrong, when it is wrong in another way, and when it is well again.

    Until the first word on the manifests nobody knows whether they can be used.
    """

    def __init__(self, board: Board, herald: Herald, listener: Listener) -> None:
        self._herald = herald
        self._board = board
        self._listener = listener
        self._wrong: dict[About, str] = {}

    def is_wrong(self, about: About) -> bool:
        """Whether it was said to be wrong, and not to be well since."""
        return about in self._wrong

    def wrong(self, about: About, error: PrefetchError, *, instead: str = KEPT) -> None:
        """The manifests cannot be used, or what is at their address cannot be had.

        Args:
            instead: what is done.
        """
        if self._wrong.get(about) == str(error):
            return
        self._wrong[about] = str(error)
        # Below an excerpt of the manifest, not behind it.
        sentence = f"{error}{chr(10) if chr(10) in str(error) else chr(32)}{instead}"
        self._board.manifest_usable = False
        self._board.warn(about, sentence)
        self._listener(Notice("warning", sentence))
        self._herald.refused(about, error)

    def well(self, about: About) -> None:
        """Nothing is wrong with it any more."""
        was_wrong = self._wrong.pop(about, None) is not None
        if about == "manifest" or was_wrong:
            self._board.manifest_usable = not self._wrong
        if not was_wrong:
            return
        self._board.settle(about)
        self._listener(Notice("info", _WELL[about]))
