"""What the origin does wrong meanwhile: nothing that one more try would not mend."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from prefetch.demo.actions import Action, Cut, Delay, Expired, Flip, Short, Stall, Status, TooMany, Trickle
from prefetch.demo.faults import Fault, covers
from tests.support.models import Wanted

__all__ = ["any_fault", "flipped"]

_KINDS: Sequence[Callable[[random.Random], Action]] = (
    lambda chance: Cut(chance.randrange(1, 6_000_000)),
    lambda chance: Cut(chance.randrange(1, 6_000_000), "reset"),
    lambda chance: Delay(chance.uniform(0.1, 1.0)),
    lambda chance: Expired(),
    lambda chance: Short(chance.randrange(1, 100_000)),
    lambda chance: Stall(chance.randrange(1, 3_000_000)),
    lambda chance: Status(chance.choice((500, 502, 503))),
    lambda chance: TooMany(chance.randrange(2)),
    lambda chance: Trickle(chance.randrange(20_000, 200_000)),
)


def any_fault(chance: random.Random) -> Fault:
    """One that strikes one or two of the next requests for bytes."""
    do = chance.choice(_KINDS)(chance)
    return Fault(do=do, server="cdn", skip=chance.randrange(8), times=chance.randint(1, 2))


def flipped(model: Wanted, chance: random.Random) -> Fault:
    """One byte of ``model`` that comes wrong the next time."""
    offset = chance.randrange(model.content.size)
    return Fault(do=Flip(offset), path=f"*/{model.name}", range=covers(offset))
