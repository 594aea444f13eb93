"""Who is at work on a volume right now, by what the claims say and whether they beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prefetch.volume import claims, files
from prefetch.volume.claims import Claim
from prefetch.volume.layout import Volume

__all__ = ["AtWork", "who_is_at_work"]

LONG_ENOUGH = 2.5
"""Seconds to watch: an owner with the usual settings beats every two."""
PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class AtWork:
    """An owner that has not let go.

    Attributes:
        still: seconds for which its claim was seen to stand still; None if it was seen to beat.
    """

    claim: Claim
    still: float | None


def who_is_at_work(
    volume: Volume,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[AtWork]:
    """Every claim that is not free, watched until all of them have beaten, for `LONG_ENOUGH` at most."""
    began, first = clock(), _held(volume)
    last, moved = first, set[str]()
    while first.keys() - moved and clock() - began < LONG_ENOUGH:
        sleep(PAUSE)
        last = {**last, **_held(volume)}
        moved |= {key for key in first if last[key] != first[key]}
    still = clock() - began
    return [AtWork(last[key], None if key in moved else still) for key in sorted(first, key=lambda k: first[k].path)]


def _held(volume: Volume) -> dict[str, Claim]:
    with files.os_errors("reading the claims"), volume.reading(claims.DIRECTORY) as directory:
        seen = [] if directory is None else claims.held(directory)
    return {one.key: claim for one in seen if (claim := one.claim) is not None}
