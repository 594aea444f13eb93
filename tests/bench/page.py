"""docs/benchmarks.md: what was measured now, and from the page as it stands what was measured before."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.notes import NOTES
from tests.bench.report import Section, markdown_table

__all__ = ["Page"]

INTRODUCTION = """# Benchmarks

Written by `make bench`. Each program fetches the same files from the same origin into an empty folder, in turns; the
time runs until every SHA-256 has been compared. prefetch compares while it downloads; the others are followed by
`openssl dgst -sha256` on all cores, and its time, CPU and memory count as theirs. After each turn the same is done
outside the clock where it did not count, so that no turn counts whose files are not right. Every connection is TLS.

- **the limit**: curl receives to /dev/null on 16 connections, dd writes in blocks of 8 MiB, openssl hashes on all
  cores, each the same bytes, all three at once, until the last has ended. **dd alone** is the writing by itself.
- **x**: seconds over somebody's in the same round, the median of all rounds (with the least and the greatest).
- **CPU**: user and system seconds of the whole process tree. **peak**: the greatest sum of its processes' resident
  sets, looked at twenty times a second; what they share counts for each. The origin and a file system's own processes
  count as nobody's.
- **spread**: slowest less fastest round, over the median. Above 25 % a row is worthless and says so.
- MooseFS is a real one, new for each turn. The origin and it run on the same cores as the programs, so all figures are
  lower than on machines of their own; the ratios are what counts.
"""
GOALS = "## Goals"
HEAD = ["workload", "goal", "figure", "verdict", "measured"]
KEY = re.compile(r"\((\w+)\)")


@dataclass(frozen=True, slots=True)
class Page:
    """The goals' rows and the sections' texts, both by workload."""

    goals: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    sections: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Page:
        """A page that was written before; what is not of this form is left out."""
        goals: dict[str, list[list[str]]] = {}
        sections = {}
        for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
            if part.startswith(GOALS):
                for cells in _cells(part):
                    goals.setdefault(cells[0], []).append(cells)
            elif key := KEY.match(part.removeprefix("## ")):
                sections[key[1]] = part.strip() + "\n"
        return cls({key: rows for key, rows in goals.items() if key in sections}, sections)

    def with_section(self, section: Section) -> Page:
        """The same with one workload measured anew."""
        key, day = section.workload.key, f"{datetime.now(UTC):%Y-%m-%d}"
        rows = [[key, found.text, found.figure, found.verdict, day] for found in section.findings()]
        return Page({**self.goals, key: rows}, {**self.sections, key: section.text()})

    def goal_table(self, keys: Sequence[str]) -> str:
        """The goals of these workloads as a table in Markdown, in this order."""
        rows = [row for key in keys for row in self.goals.get(key, ())]
        return markdown_table(HEAD, rows, left=set(HEAD))

    def text(self, order: Sequence[str]) -> str:
        """The whole page, its workloads in this order."""
        parts = [INTRODUCTION, _machine(), GOALS + "\n", self.goal_table(order) + "\n", NOTES]
        return "\n".join([*parts, *(self.sections[key] for key in order if key in self.sections)])


def _cells(part: str) -> list[list[str]]:
    """The table's cells in a part of the page, without its head and rule."""
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    cores = f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB of memory"
    return f"The last run was on {cores}, Linux {platform.release()}, Python {platform.python_version()}.\n"


def _processor() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.machine()
