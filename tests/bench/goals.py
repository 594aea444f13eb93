"""What a workload is to show, and whether it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.ours import OURS
from tests.bench.peers import PEERS
from tests.bench.rounds import Turn, ratio, rows

__all__ = [
    "PEAK",
    "Finding",
    "Goal",
    "at_least",
    "at_most",
    "beside_best_peer",
    "beside_us",
    "best_peer",
    "cpu_beside",
    "fact",
    "seconds_of",
    "share_of_run",
    "speed_share",
    "times",
]

Figure = Callable[[Sequence[Turn]], float]
"""A number made from the rounds; KeyError where somebody it needs took no part."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A goal held against the rounds."""

    text: str
    figure: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Goal:
    """One sentence, the figure it is about, and when that is good enough."""

    text: str
    figure: Figure
    enough: Callable[[float], bool]
    form: str

    def finding(self, turns: Sequence[Turn]) -> Finding:
        """What the rounds say."""
        try:
            value = self.figure(turns)
        except KeyError:
            return Finding(self.text, "", "not measured")
        verdict = "reached" if self.enough(value) else "not reached"
        return Finding(self.text, self.form.format(value), verdict + _noise(turns))


def at_most(text: str, figure: Figure, bound: float, *, form: str = "{:.2f}") -> Goal:
    """Reached where the figure is ``bound`` or less."""
    return Goal(text, figure, lambda value: value <= bound, form)


def at_least(text: str, figure: Figure, bound: float, *, form: str = "{:.2f}") -> Goal:
    """Reached where the figure is ``bound`` or more."""
    return Goal(text, figure, lambda value: value >= bound, form)


def times(base: str) -> Figure:
    """Our seconds over ``base``'s."""
    return lambda turns: ratio(turns, OURS, base)


def beside_us(name: str) -> Figure:
    """Somebody's seconds over ours."""
    return lambda turns: ratio(turns, name, OURS)


def beside_best_peer(turns: Sequence[Turn]) -> float:
    """The best peer's seconds over ours."""
    return ratio(turns, best_peer(turns), OURS)


def best_peer(turns: Sequence[Turn]) -> str:
    """The fastest of those that are neither ours nor a yardstick."""
    peers = [row.name for row in rows(turns, ours=OURS) if row.name in PEERS]
    if not peers:
        raise KeyError("best peer")
    return peers[0]


def cpu_beside(other: str) -> Figure:
    """Our CPU seconds over ``other``'s, verification counted."""
    return lambda turns: median(turn[OURS].cpu_seconds / turn[other].cpu_seconds for turn in turns)


def speed_share(size: int, full: float) -> Figure:
    """Our speed over ``full`` bytes a second, ``size`` bytes having been moved."""
    return lambda turns: size / median(turn[OURS].seconds for turn in turns) / full


def seconds_of(name: str) -> Figure:
    """Somebody's seconds."""
    return lambda turns: median(turn[name].seconds for turn in turns)


def fact(name: str, *, of: str = OURS) -> Figure:
    """The worst of a fact over the rounds."""
    return lambda turns: max(turn[of].facts[name] for turn in turns)


def share_of_run(name: str) -> Figure:
    """The worst of a fact that is a time, over the seconds of its round."""
    return lambda turns: max(turn[OURS].facts[name] / turn[OURS].seconds for turn in turns)


def _peak(turns: Sequence[Turn]) -> float:
    return max(usage.peak_bytes for turn in turns for name, usage in turn.items() if name.startswith(OURS)) / 1e6


def _noise(turns: Sequence[Turn]) -> str:
    worthless = [row.name for row in rows(turns, ours=OURS) if row.name.startswith(OURS) and row.is_worthless]
    return f", but the spread of {worthless[0]} makes it worthless" if worthless else ""


PEAK = at_most("memory of the process tree at most 350 MB", _peak, 350, form="{:.0f} MB")
