"""A workload's figures as a table, for the terminal and as a section of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from tests.bench.goals import Finding, best_peer
from tests.bench.ours import OURS
from tests.bench.peers import PEERS
from tests.bench.rounds import Row, Turn, ratio, rows
from tests.bench.workloads import Workload
from tests.bench.yardsticks import DD, LIMIT

__all__ = ["Section", "markdown_table"]


@dataclass(frozen=True, slots=True)
class Section:
    """One workload's result; ``programs`` are the versions of those who took part."""

    workload: Workload
    turns: Sequence[Turn]
    command: str
    programs: Sequence[str]

    @property
    def title(self) -> str:
        """The heading, which begins with the workload's key."""
        return f"({self.workload.key}) {self.workload.title}"

    def findings(self) -> list[Finding]:
        """The workload's goals held against the rounds."""
        return [goal.finding(self.turns) for goal in self.workload.goals]

    def table(self) -> str:
        """The table in Markdown, which reads well in a terminal too."""
        columns = self._columns()
        cells = [[make(row) for make in columns.values()] for row in rows(self.turns, ours=OURS)]
        return markdown_table(list(columns), cells, left={"program", "verdict"})

    def summary(self) -> str:
        """The one sentence: how we stand to the best of the others, if there are any."""
        others = [row for row in rows(self.turns, ours=OURS) if row.name in PEERS]
        if not others:
            return ""
        best = others[0]
        times = ratio(self.turns, best.name, OURS)
        return f"The best peer, {best.name}, takes {times:.2f} times as long as prefetch ({best.verdict})."

    def text(self) -> str:
        """The whole section in Markdown."""
        made = f"Made on {datetime.now(UTC):%Y-%m-%d} with `{self.command}`: {'; '.join(self.programs)}."
        size = f"{self.workload.measure.size / 1e6:,.0f} MB a turn. " if self.workload.measure.size else ""
        each = "\n".join(
            f"{number}. " + ", ".join(f"{name} {usage.seconds:.2f}" for name, usage in turn.items())
            for number, turn in enumerate(self.turns, 1)
        )
        parts = [f"## {self.title}", made, size + self.summary(), self.table(), "Seconds, round by round:", each]
        return "\n\n".join(part.strip() for part in parts if part) + "\n"

    def _columns(self) -> dict[str, Callable[[Row], str]]:
        size = self.workload.measure.size
        speed: dict[str, Callable[[Row], str]] = {"MB/s": lambda row: f"{size / row.seconds / 1e6:.0f}"}
        return {
            "program": lambda row: row.name,
            "seconds": lambda row: f"{row.seconds:.2f}",
            **(speed if size else {}),
            "x prefetch": lambda row: f"{median(row.ratios):.2f} ({min(row.ratios):.2f}-{max(row.ratios):.2f})",
            **{f"x {name}": self._times(base) for name, base in self._bases().items()},
            "CPU s": lambda row: f"{row.cpu_seconds:.2f}",
            "peak MB": lambda row: f"{row.peak_bytes / 1e6:.0f}",
            "spread": lambda row: f"{row.spread:.0%}",
            "verdict": lambda row: row.verdict,
        }

    def _bases(self) -> dict[str, str]:
        """What else the seconds are compared with, by its column's name, as far as it took part."""
        bases = {name: base for name, base in (("limit", LIMIT), ("dd", DD)) if base in self.turns[0]}
        if any(name in PEERS for name in self.turns[0]):
            bases["best peer"] = best_peer(self.turns)
        return bases

    def _times(self, base: str) -> Callable[[Row], str]:
        return lambda row: f"{ratio(self.turns, row.name, base):.2f}"


def markdown_table(head: Sequence[str], cells: Sequence[Sequence[str]], *, left: set[str]) -> str:
    """A table padded to its columns' widths; those not named in ``left`` are aligned to the right."""
    rule = ["---" if name in left else "---:" for name in head]
    lines = [head, rule, *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
