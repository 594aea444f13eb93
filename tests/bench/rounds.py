"""Rounds in which every peer has its turn, and what their figures say."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.peers import Job, Peer, verify_command
from tests.bench.usage import Usage, run_measured

__all__ = ["Row", "Turn", "fetch_verified", "play", "rows"]

TOLERABLE_SPREAD = 0.25
Turn = dict[str, Usage]
"""One round: what each peer took, by its name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One peer over all rounds: medians, and the spread as (slowest - fastest) / median.

    ``ratios`` are its seconds over ours, round by round.
    """

    peer: str
    seconds: float
    spread: float
    cpu_seconds: float
    peak_bytes: int
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the ratios: how many times longer than ours it takes."""
        return median(self.ratios)

    @property
    def verdict(self) -> str:
        """What noise leaves of this row."""
        if self.spread > TOLERABLE_SPREAD:
            return f"worthless: spread {self.spread:.0%}"
        if min(self.ratios) < 1 < max(self.ratios):
            return "no difference shown"
        return "ok"


def play(peers: Sequence[Peer], job: Job, *, rounds: int) -> list[Turn]:
    """One round to warm up, which is thrown away, and ``rounds`` that count; each begins with another peer."""
    turns = []
    for number in range(rounds + 1):
        first = number % len(peers)
        order = [*peers[first:], *peers[:first]]
        turns.append({peer.name: fetch_verified(peer, job) for peer in order})
        print(f"round {number}:", ", ".join(f"{name} {usage.seconds:.2f} s" for name, usage in turns[-1].items()))
    return turns[1:]


def rows(turns: Sequence[Turn], *, ours: str) -> list[Row]:
    """One row a peer, the fastest first."""
    return sorted((_row(peer, turns, ours) for peer in turns[0]), key=lambda row: row.seconds)


def _row(peer: str, turns: Sequence[Turn], ours: str) -> Row:
    seconds = [turn[peer].seconds for turn in turns]
    return Row(
        peer,
        seconds=median(seconds),
        spread=(max(seconds) - min(seconds)) / median(seconds),
        cpu_seconds=median(turn[peer].cpu_seconds for turn in turns),
        peak_bytes=max(turn[peer].peak_bytes for turn in turns),
        ratios=tuple(turn[peer].seconds / turn[ours].seconds for turn in turns),
    )


def fetch_verified(peer: Peer, job: Job) -> Usage:
    """From an empty folder to hashes that have all been compared; the comparison is ours where the peer makes none."""
    _empty(job.target)
    fetched = run_measured(peer.command(job), env=job.environment | peer.settings(job), output=job.work / "fetch.log")
    command, names = verify_command(job)
    digests = job.work / "digests"
    verified = run_measured(command, env=job.environment, output=digests, input_file=names)
    _check(digests.read_text(), job)
    return fetched if peer.verifies else fetched.then(verified)


def _empty(target: Path) -> None:
    for entry in target.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if any(target.iterdir()):
        raise RuntimeError(f"{target} is not empty.")


def _check(digests: str, job: Job) -> None:
    """Every file of the set is there with its hash; ``digests`` are OpenSSL's lines."""
    lines = (line.split(" *", 1) for line in digests.splitlines())
    found = {path: sha256 for sha256, path in lines}
    expected = {str(job.target / path): sha256 for path, sha256 in job.seeds.hashes.items()}
    if found != expected:
        raise RuntimeError("A file of the set is not what it should be.")
