"""One download's list of block digests, for as long as it is believed."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping

from prefetch.net.origin import Origin
from prefetch.report.events import Listener, Notice
from prefetch.transfer.expected import Expected, Verdict
from prefetch.transfer.order import Order

__all__ = ["Listed"]


class Listed:
    """What is said of an order's blocks beforehand; nothing, where its lock brought no list or the list was wrong."""

    def __init__(self, order: Order, listener: Listener) -> None:
        self._path = order.path
        self._listener = listener
        self._expected = Expected(order.digests) if order.digests is not None else None

    def __bool__(self) -> bool:
        """Whether there is a list that is believed."""
        return self._expected is not None

    @property
    def is_disputed(self) -> bool:
        """Whether a block was taken although the list says otherwise."""
        return self._expected is not None and bool(self._expected.disputed)

    @property
    def any_right(self) -> bool:
        """Whether any host has sent a block that is on the list."""
        return self._expected is not None and self._expected.any_right

    def allows(self, index: int) -> bool:
        """Whether block ``index`` may be asked for, or a wrong one has to come again before that."""
        expected = self._expected
        return expected is None or not expected.in_doubt or index in expected.again

    def sound(self, here: Mapping[int, bytes]) -> Container[int]:
        """Those of the blocks ``here``, number → digest, that can be right."""
        expected = self._expected
        return here if expected is None else {index for index, digest in here.items() if expected.agrees(index, digest)}

    def contradicted(self, index: int) -> Collection[Origin]:
        """The hosts that sent something else as block ``index``."""
        return () if self._expected is None else self._expected.contradicted(index)

    def judge(self, index: int, digest: bytes, origin: Origin, live: Collection[Origin]) -> Verdict:
        """What to do with a block of this digest from ``origin``, one of the hosts ``live``."""
        if self._expected is None:
            return Verdict.TAKE
        verdict = self._expected.judge(index, digest, origin, live)
        if verdict is Verdict.FORGET:
            self.forget("two hosts send the same, and it says otherwise")
        return verdict

    def forget(self, why: str) -> None:
        """Believe it no more, and say so."""
        self._expected = None
        self._listener(Notice("warning", f"The block digests of {self._path} are ignored: {why}. The SHA-256 decides."))

    def drop(self) -> None:
        """Make no use of it: without ranges no single block can be fetched again."""
        self._expected = None
