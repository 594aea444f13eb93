"""What each block of a file has to be, by a list of digests that came with its lock. Pure.

The list is a hint like every other: it finds a wrong block as it arrives, but the SHA-256 of the whole file is the last
word. A host that is contradicted once is asked again, or another is asked; only a host that is wrong again and again is
left, and a list that two hosts contradict in the same way is not believed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import Enum

from prefetch.net.origin import Origin
from prefetch.volume.blocks import DIGEST_SIZE

__all__ = ["Expected", "Verdict"]

STRIKES = 3
"""Wrong blocks a host may send before it is judged by their share."""
TOLERATED = 4
"""A host is left when it has sent less than so many right blocks for each wrong one, and another host is there."""
WITNESSES = 2
"""Blocks that two hosts send alike, and otherwise than the list says, before the list is not believed."""
ANSWERS = 6
"""Different answers for one block before the last host is given up."""


class Verdict(Enum):
    """What is to be done with a block."""

    RIGHT = "it is what the list says"
    AGAIN = "it is to be fetched again"
    TAKE = "whoever is asked sends the same: take it and have the SHA-256 decide"
    LEAVE = "the host is to be asked no more"
    FORGET = "the list is wrong"


class Expected:
    """Judges the blocks of one file.

    Args:
        digests: XXH3-128 of each block in order, 16 bytes each.

    Attributes:
        disputed: blocks that were taken although the list says otherwise.
        again: blocks that are being fetched again.
    """

    def __init__(self, digests: bytes) -> None:
        self.disputed: set[int] = set()
        self.again: set[int] = set()
        self._digests = digests
        self._answers: dict[int, list[tuple[Origin, bytes]]] = {}
        self._right: Counter[Origin] = Counter()
        self._wrong: Counter[Origin] = Counter()
        self._alike = 0

    def agrees(self, index: int, digest: bytes) -> bool:
        """Whether ``digest`` is the one that block ``index`` should have."""
        return self._digests[index * DIGEST_SIZE : (index + 1) * DIGEST_SIZE] == digest

    def contradicted(self, index: int) -> set[Origin]:
        """The hosts that sent something else as block ``index``."""
        return {origin for origin, _ in self._answers.get(index, ())}

    @property
    def any_right(self) -> bool:
        """Whether any host has sent a block that is on the list."""
        return bool(self._right)

    @property
    def in_doubt(self) -> bool:
        """Whether only wrong blocks have come yet: nothing more should be asked for until one of them came again."""
        return bool(self.again) and not self.any_right

    def judge(self, index: int, digest: bytes, origin: Origin, live: Collection[Origin]) -> Verdict:
        """What to do with a block of this digest from ``origin``, one of the hosts ``live`` that can be asked."""
        verdict = self._judge(index, digest, origin, live)
        if verdict in (Verdict.AGAIN, Verdict.LEAVE):
            self.again.add(index)
        else:
            self.again.discard(index)
        return verdict

    def _judge(self, index: int, digest: bytes, origin: Origin, live: Collection[Origin]) -> Verdict:
        if self.agrees(index, digest):
            self._right[origin] += 1
            self.disputed.discard(index)
            return Verdict.RIGHT
        before = self._answers.setdefault(index, [])
        alike = [who for who, what in before if what == digest]
        before.append((origin, digest))
        self._wrong[origin] += 1
        self._alike += any(who is not origin for who in alike)
        if self._alike >= WITNESSES:
            return Verdict.FORGET
        if self._is_hopeless(origin, alone=len(live) == 1) or len(before) >= ANSWERS:
            return Verdict.LEAVE
        if alike and self.contradicted(index) >= set(live):
            self.disputed.add(index)
            return Verdict.TAKE
        return Verdict.AGAIN

    def _is_hopeless(self, origin: Origin, *, alone: bool) -> bool:
        if alone:
            return len(self.disputed) >= STRIKES and len(self.disputed) > self._right[origin]
        return self._wrong[origin] >= STRIKES and self._wrong[origin] * TOLERATED > self._right[origin]
