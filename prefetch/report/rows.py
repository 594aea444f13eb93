"""The lines of the terminal's live area: one a model, and the total. Pure: events and a width in, styled text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prefetch.report import humanize
from prefetch.report.events import Progress, Transfer

__all__ = ["Row", "area", "model_row", "name_width", "state_row", "total_row", "waiting_row"]

Row: TypeAlias = Sequence[tuple[str, str]]
"""Pieces of one line, each with the name of its style."""

_GAP = "  "
_SHARE = 5
_SPEED = 10
_AMOUNT = 17
_LONGEST_NAME = 76
_MARGIN = 4
"""Characters at the end of a line that are left free: the ``^C`` that a terminal echoes there would break the line."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """What fits in a width, in characters; 0 where there is no room."""

    name: int
    bar: int
    amount: int
    eta: int


def _columns(width: int) -> _Columns:
    # In 80 characters the bytes say more than a bar.
    bar = 24 if width >= 140 else 12 if width >= 100 else 0
    amount = _AMOUNT if width >= 72 else 0
    eta = 6 if width >= 50 else 0
    name = width - _MARGIN - sum(other + len(_GAP) for other in (bar, _SHARE, amount, _SPEED, eta) if other)
    return _Columns(min(max(name, 4), _LONGEST_NAME), bar, amount, eta)


def name_width(width: int) -> int:
    """Characters of a name that fit in a row."""
    return _columns(width).name


def model_row(name: str, transfer: Transfer, *, width: int, trouble: str | None = None) -> Row:
    """One model that is being fetched; ``trouble`` is why its last request failed."""
    columns = _columns(width)
    pace = _state(transfer, trouble) or humanize.rate(transfer.speed)
    return [_name(name, columns), *_gauge(transfer.done, transfer.size, transfer.speed, pace, columns)]


def waiting_row(name: str, size: int | None, state: str, *, width: int) -> Row:
    """One model of which no byte moves over the network: being hashed, or asked for."""
    return state_row(name, f"{state}, {humanize.size(size)}", width=width)


def state_row(name: str, state: str, *, width: int) -> Row:
    """Something else that is going on, by its name, in a few words."""
    cell = _name(name, _columns(width))
    return [cell, (humanize.printable(state)[: max(width - len(cell[0]) - _MARGIN, 0)], "dim")]


def total_row(progress: Progress, *, width: int) -> Row:
    """The sums of the whole run."""
    columns = _columns(width)
    models = f"{progress.models_done}/{humanize.count(progress.models_total, 'model')}"
    name = _name(f"{models}, {humanize.count(progress.connections, 'connection')}", columns)
    pace = humanize.rate(progress.speed)
    return [name, *_gauge(progress.bytes_done, progress.bytes_total, progress.speed, pace, columns)]


def area(rows: Sequence[Row], total: Row | None, *, height: int) -> list[Row]:
    """The rows that fit in ``height`` lines, the total last, and how many there was no room for."""
    room = max(height - 3, 1)
    hidden = len(rows) - room + 1
    shown = list(rows) if hidden <= 1 else [*rows[: room - 1], [(f"and {hidden} more", "dim")]]
    return shown if total is None else [*shown, total]


def _state(transfer: Transfer, trouble: str | None) -> str | None:
    if transfer.size is not None and transfer.done >= transfer.size:
        return "verifying"
    return None if transfer.speed > 0 else humanize.cause(trouble) if trouble else "waiting"


def _name(text: str, columns: _Columns) -> tuple[str, str]:
    return humanize.shorten(humanize.printable(text), columns.name).ljust(columns.name) + _GAP, "name"


def _gauge(done: int, size: int | None, speed: float, pace: str, columns: _Columns) -> list[tuple[str, str]]:
    cells = [*_bar(done, size, columns.bar), (_share(done, size).rjust(_SHARE) + _GAP, "share")]
    if columns.amount:
        cells.append(
            (f"{humanize.size(done)}/{humanize.size(size) if size else '?'}".rjust(columns.amount) + _GAP, "amount")
        )
    cells.append((pace[:_SPEED].rjust(_SPEED), "speed"))
    if columns.eta:
        cells.append((_GAP + (humanize.eta(size - done, speed) if size else "-").rjust(columns.eta), "eta"))
    return cells


def _share(done: int, size: int | None) -> str:
    return "?" if size is None else humanize.percent(done, size)


def _bar(done: int, size: int | None, width: int) -> list[tuple[str, str]]:
    if not width:
        return []
    full = min(done * width // size, width) if size else 0
    return [("━" * full, "bar"), ("─" * (width - full) + _GAP, "dim")]
