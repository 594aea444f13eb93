"""Whether the owner of a claim still lives, as far as one who watches can tell. Pure.

Clocks of two hosts are never compared: what counts is how long a claim stood still by the watcher's own clock, and only
between two readings that the volume answered at once. While the volume does not answer nobody can beat.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Life", "observed", "unseen"]


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one claim.

    Attributes:
        mark: its number and content when it was last read; any difference is a beat.
        silent: seconds for which it was seen to stand still.
        last: when it was last read at once, on the watcher's clock; None if the last reading failed or was slow.
    """

    mark: tuple[int, bytes]
    silent: float
    last: float | None

    def is_over(self, life: float) -> bool:
        """Whether it stood still for ``life`` seconds."""
        return self.silent >= life


def observed(former: Life | None, mark: tuple[int, bytes], *, began: float, ended: float, longest: float) -> Life:
    """What is known after a reading.

    Args:
        began, ended: when the reading began and ended, on the watcher's clock.
        longest: seconds a reading may take, and the most that one gap between two of them counts for: a watcher that
            was frozen itself has seen nothing meanwhile.
    """
    if ended - began > longest:
        return Life(mark, 0.0, None)
    if former is None or former.mark != mark:
        return Life(mark, 0.0, ended)
    gap = 0.0 if former.last is None else max(0.0, began - former.last)
    return Life(mark, former.silent + min(gap, longest), ended)


def unseen(former: Life) -> Life:
    """What is known after a reading that failed: as little as at the beginning."""
    return Life(former.mark, 0.0, None)
