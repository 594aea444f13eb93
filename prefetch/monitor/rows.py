"""A model as a row of the page's table."""

from __future__ import annotations

from hashlib import blake2b
from html import escape

from prefetch.report import humanize
from prefetch.report.models import State
from prefetch.report.view import Row

__all__ = ["html_of", "id_of", "state_name"]

_NAMES: dict[State, str] = {"verifying": "hashing", "present": "there"}
_WELL = frozenset({"present", "adopted", "downloaded", "linked"})
_STEPS = 1000


def state_name(state: State) -> str:
    """A state in the page's words."""
    return _NAMES.get(state, state)


def id_of(row: Row) -> str:
    """The id of a model's row: the same as long as its path is."""
    return "m" + blake2b(row.path.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def html_of(row: Row) -> str:
    """The row."""
    folder, _, name = humanize.printable(row.path).rpartition("/")
    # Long names break where their words do.
    shown = f"<b>{escape(name).replace('_', '_<wbr>')}</b> <span>{escape(folder)}</span>"
    cells = (
        f'<th role="rowheader" scope="row">{shown}</th>',
        f'<td role="cell" class="state">{escape(_state(row))}</td>',
        f'<td role="cell" class="bar">{_bar(row, name)}</td>',
        f'<td role="cell" class="amount">{_amount(row)}</td>',
        f'<td role="cell" class="speed">{humanize.rate(row.speed) if row.speed > 0 else ""}</td>',
        f'<td role="cell" class="eta">{_eta(row)}</td>',
    )
    return f'<tr role="row" id="{id_of(row)}" class="{_mood(row)}">{"".join(cells)}</tr>'


def _mood(row: Row) -> str:
    if row.state in _WELL:
        return "well"
    if row.state == "failed" or row.trouble:
        return "bad"
    return "resting" if row.state == "queued" else "working"


def _state(row: Row) -> str:
    if row.state == "waiting":
        return _owner(row)
    if row.trouble:
        return f"{humanize.cause(row.trouble)}, trying again"
    if row.state == "fetching" and row.size is not None and row.done >= row.size:
        return "checking"
    return state_name(row.state)


def _owner(row: Row) -> str:
    if row.owner is None:
        return "another process has it"
    host, pid = row.owner
    return f"process {pid} on {humanize.printable(host)} has it"


def _bar(row: Row, name: str) -> str:
    share = _share(row)
    if share is None:
        return ""
    done, whole = share
    value = f'max="{_STEPS}" value="{done * _STEPS // whole if whole else _STEPS}"'
    return f'<progress {value} aria-label="{escape(name)}"></progress> {humanize.percent(done, whole)}'


def _share(row: Row) -> tuple[int, int] | None:
    """What is there of the whole; None where nothing can be said of it."""
    if row.state in _WELL:
        return 1, 1
    if row.size is None or row.state == "verifying" or (row.state in ("failed", "waiting") and not row.done):
        return None
    return row.done, row.size


def _amount(row: Row) -> str:
    if row.size is None:
        return humanize.size(row.done) if row.done else ""
    if row.state in _WELL or not row.done:
        return humanize.size(row.size)
    return f"{humanize.size(row.done)} of {humanize.size(row.size)}"


def _eta(row: Row) -> str:
    if row.size is None or row.speed <= 0:
        return ""
    return humanize.eta(row.size - row.done, row.speed)
