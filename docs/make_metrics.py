"""Writes the table in docs/metrics.md from the metrics themselves: ``python docs/make_metrics.py``."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics_core import Metric

from prefetch.report.board import Board
from prefetch.report.metrics import FAMILIES, Family, registry_of

__all__ = ["page"]

TARGET = Path(__file__).with_name("metrics.md")
TABLE = re.compile(r"^\| metric \|.*?(?=^$)", re.MULTILINE | re.DOTALL)


def page() -> str:
    """The page with its table made anew, of every metric that the registry has."""
    known = {family.name: family for family in FAMILIES}
    rows = [_row(known[_queried(metric)]) for metric in registry_of(Board()).collect()]
    table = "\n".join(["| metric | type | labels | what it is |", "|---|---|---|---|", *rows, ""])
    return TABLE.sub(lambda _: table, TARGET.read_text(encoding="utf-8"), count=1)


def _queried(metric: Metric) -> str:
    # A counter's family carries no suffix in the library.
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
