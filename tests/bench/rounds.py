"""Rounds in which everybody has a turn, and what their figures say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.usage import Usage

__all__ = ["Contestant", "Row", "Turn", "play", "ratio", "rows"]

TOLERABLE_SPREAD = 0.25
Turn = dict[str, Usage]
"""One round: what each took, by its name."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who has a turn in each round."""

    name: str
    turn: Callable[[], Usage]


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant over all rounds: medians, and the spread as (slowest - fastest) / median.

    ``ratios`` are its seconds over ours, round by round.
    """

    name: str
    seconds: float
    spread: float
    cpu_seconds: float
    peak_bytes: int
    ratios: tuple[float, ...]

    @property
    def is_worthless(self) -> bool:
        """Whether noise leaves nothing of it."""
        return self.spread > TOLERABLE_SPREAD

    @property
    def verdict(self) -> str:
        """What noise leaves of this row."""
        if self.is_worthless:
            return f"worthless: spread {self.spread:.0%}"
        if min(self.ratios) < 1 < max(self.ratios):
            return "no difference shown"
        return "ok"


def play(contestants: Sequence[Contestant], *, rounds: int) -> list[Turn]:
    """One round to warm up, which is thrown away, and ``rounds`` that count; each begins with another contestant."""
    turns = []
    for number in range(rounds + 1):
        first = number % len(contestants)
        order = [*contestants[first:], *contestants[:first]]
        print(f"round {number}:" if number else "warm-up:", end="", flush=True)
        turns.append({contestant.name: _shown(contestant) for contestant in order})
        print(flush=True)
    return turns[1:]


def rows(turns: Sequence[Turn], *, ours: str) -> list[Row]:
    """One row a contestant, the fastest first."""
    return sorted((_row(name, turns, ours) for name in turns[0]), key=lambda row: row.seconds)


def ratio(turns: Sequence[Turn], name: str, base: str) -> float:
    """How many times longer than ``base`` somebody takes: the median over the rounds."""
    return median(_ratios(turns, name, base))


def _shown(contestant: Contestant) -> Usage:
    print(f" {contestant.name}", end=" ", flush=True)
    usage = contestant.turn()
    print(f"{usage.seconds:.2f} s", end=",", flush=True)
    return usage


def _row(name: str, turns: Sequence[Turn], ours: str) -> Row:
    seconds = [turn[name].seconds for turn in turns]
    return Row(
        name,
        seconds=median(seconds),
        spread=(max(seconds) - min(seconds)) / median(seconds),
        cpu_seconds=median(turn[name].cpu_seconds for turn in turns),
        peak_bytes=max(turn[name].peak_bytes for turn in turns),
        ratios=_ratios(turns, name, ours),
    )


def _ratios(turns: Sequence[Turn], name: str, base: str) -> tuple[float, ...]:
    return tuple(turn[name].seconds / turn[base].seconds for turn in turns)
