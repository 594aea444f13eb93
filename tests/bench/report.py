"""The figures as a table for the terminal and as a page for docs/."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.peers import PEERS
from tests.bench.rounds import Row, Turn, rows

__all__ = ["Section", "page"]

INTRODUCTION = """# Benchmarks

Written by `make bench`. Each program fetches the same files from the same origin into an empty folder, in turns; the
time runs until every SHA-256 has been compared. prefetch compares while it downloads; the others are followed by
`openssl dgst -sha256` on all cores, and its time, CPU and memory count as theirs. After each turn of prefetch the same
is done outside the clock, so that no turn counts whose files are not right.

- **ratio**: seconds over prefetch's in the same round, the median of all rounds, with the least and the greatest.
- **CPU**: user and system seconds of the whole process tree. **peak**: the greatest sum of its processes' proportional
  set sizes, looked at twenty times a second.
- **spread**: slowest less fastest round, over the median. Above 25 % a row is worthless and says so.
- The origin runs on the same cores, so all figures are lower than on a machine of its own; the ratios are what counts.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """One workload's result."""

    title: str
    size: int
    turns: Sequence[Turn]

    def table(self) -> str:
        """The table in Markdown, which reads well in a terminal too."""
        head = ["program", "seconds", "MB/s", "ratio", "CPU s", "peak MB", "spread", "verdict"]
        lines = [head, ["---", *["---:"] * 6, "---"], *(self._cells(row) for row in rows(self.turns, ours="prefetch"))]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("| " + " | ".join(_padded(line, widths)) + " |" for line in lines)

    def summary(self) -> str:
        """The one sentence: how we stand to the best of the others."""
        others = [row for row in rows(self.turns, ours="prefetch") if row.peer != "prefetch"]
        if not others:
            return "Nobody to compare with."
        best = others[0]
        return f"The best peer, {best.peer}, takes {best.ratio:.2f} times as long as prefetch ({best.verdict})."

    def text(self) -> str:
        """The whole section in Markdown."""
        each = "\n".join(
            f"{number}. " + ", ".join(f"{name} {usage.seconds:.2f}" for name, usage in turn.items())
            for number, turn in enumerate(self.turns, 1)
        )
        size = f"{self.size / 1e6:.0f} MB in one set."
        return f"## {self.title}\n\n{size} {self.summary()}\n\n{self.table()}\n\nSeconds, round by round:\n\n{each}\n"

    def _cells(self, row: Row) -> list[str]:
        return [
            row.peer,
            f"{row.seconds:.2f}",
            f"{self.size / row.seconds / 1e6:.0f}",
            f"{row.ratio:.2f} ({min(row.ratios):.2f}-{max(row.ratios):.2f})",
            f"{row.cpu_seconds:.2f}",
            f"{row.peak_bytes / 1e6:.0f}",
            f"{row.spread:.0%}",
            row.verdict,
        ]


def page(sections: Sequence[Section], *, command: str) -> str:
    """The whole of docs/benchmarks.md."""
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} with `{command}`.\n\n{_conditions()}"
    return "\n".join([INTRODUCTION, made, *(section.text() for section in sections)])


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]


def _conditions() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    machine = f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory, Linux {platform.release()}"
    versions = [*(peer.version_line() for peer in PEERS.values()), _first_line("openssl", "version"), _nginx()]
    lines = [machine, f"Python {platform.python_version()}", *versions]
    return "".join(f"- {line}\n" for line in lines)


def _processor() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.machine()


def _first_line(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return (told.stdout or told.stderr).splitlines()[0]


def _nginx() -> str:
    return _first_line("nginx", "-v").removeprefix("nginx version: ")
